"""`fakedetect predict` around a detector that is not there: its flags, its words, its files and its exit codes."""

import errno
import json
import math
import os
import tempfile
from pathlib import Path

import pytest

from fakedetect_jax.cli import main as cli
from fakedetect_jax.cli.predict import result_folders
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.deployment import inference
from fakedetect_jax.deployment.verdict import VideoVerdict
from fakedetect_jax.faces import Extraction, FrameChoice
from fakedetect_jax.faces.video import VideoError
from tests.deployment.test_timeline import full, unjudged, verdict
from tests.faces.encoding import encode
from tests.real_size.long_videos import face_frames
from tests.tiny_detector import tiny_detector


class Scores:
    """In the place of a detector: gives the same verdicts on every video, and counts them."""

    def __init__(self, verdicts):
        self.verdicts, self.about, self.broken = verdicts, {}, ""
        self.videos, self.asked = [], []

    def predict(self, video, **options):
        self.videos.append(video)
        self.asked.append(options)
        if video == self.broken:
            raise VideoError(f"{video}: no frame could be decoded")
        return VideoVerdict(self.verdicts, **self.about)


@pytest.fixture
def detector(monkeypatch):
    detector = Scores([verdict()])
    monkeypatch.setattr(inference, "load_detector", lambda folder: detector)
    return detector


def test_two_videos_of_one_name_are_two_verdicts(run, detector):
    assert run("predict", "one/1.mp4", "--detector", "det")[0] == 0
    before = Path("1.fakedetect/verdict.json").read_bytes()
    code, _, errors = run("predict", "two/1.mp4", "--detector", "det")
    assert code == 1
    assert "1.fakedetect/verdict.json is of another video" in errors
    assert errors.count("\n") == 1
    assert detector.videos == ["one/1.mp4"]  # refused before the work, not after it
    assert Path("1.fakedetect/verdict.json").read_bytes() == before
    assert run("predict", "two/1.mp4", "--detector", "det", "--out", "two")[0] == 0
    assert run("predict", "one/1.mp4", "--detector", "det")[0] == 0


def test_a_score_that_is_none_is_no_verdict(run, detector):
    detector.verdicts = [verdict(score=math.nan)]
    code, output, errors = run("predict", "a.mp4", "--detector", "det")
    assert (code, output) == (1, "")
    assert "gives person 0 a P(fake) of nan" in errors
    assert not Path("a.fakedetect").exists()


def test_a_tilde_is_the_home_folder_everywhere(run, detector, tmp_path):
    code, output, _ = run("predict", "~/a.mp4", "--detector=~/det", "--out=~/out")
    assert code == 0
    assert json.loads((tmp_path / "home/out/verdict.json").read_text())["detector"] == f"{tmp_path}/home/det"
    assert f"{tmp_path}/home/out/timeline.png" in output
    parse = cli.make_parser().parse_args
    build = parse(["build", "x", "--source=~/s", "--out=~/o"])
    assert (build.source, build.out) == (f"{tmp_path}/home/s", f"{tmp_path}/home/o")
    inspect = parse(["inspect", "x", "--data=~/d", "--out=~/p"])
    assert (inspect.data, inspect.out) == (f"{tmp_path}/home/d", f"{tmp_path}/home/p")


def test_many_people_are_all_told_of_and_the_first_drawn(run, detector):
    detector.verdicts = [verdict(person) for person in range(25)]
    _, output, _ = run("predict", "a.mp4", "--detector", "det")
    assert output.count("person ") == 25
    assert "timeline.png (the first 20 people)" in output
    assert len(json.loads(Path("a.fakedetect/verdict.json").read_text())["people"]) == 25


def people_of(folder):
    return json.loads(Path(folder, "verdict.json").read_text())["people"]


def test_what_cannot_be_judged_is_told_with_its_reason_and_exit_code(run, detector):
    detector.verdicts = [unjudged(), unjudged(1)]
    code, output, errors = run("predict", "a.mp4", "--detector", "det")
    assert (code, errors) == (3, "")
    assert "person 1: cannot be judged by this detector, because nothing moves" in output
    assert "P(fake)" not in output
    (person, _) = people_of("a.fakedetect")
    assert (person["verdict"], person["reason"]) == ("cannot be judged", "nothing moves")
    assert (person["score"], person["frames"], person["clip_scores"]) == (None, [], [])
    assert Path("a.fakedetect/timeline.png").exists()
    detector.verdicts = [verdict(), unjudged(1)]
    assert run("predict", "a.mp4", "--detector", "det")[0] == 0


def test_no_face_is_no_verdict(run, detector):
    detector.verdicts = []
    code, output, errors = run("predict", "a.mp4", "--detector", "det")
    assert (code, errors) == (3, "")
    assert "a.mp4:\nno face found in it; nothing was scored\nwritten: a.fakedetect/verdict.json" in output


@pytest.mark.parametrize("faces", [0, 1])
def test_a_part_of_a_video_is_not_told_of_as_the_whole(run, detector, faces):
    detector.verdicts = [verdict()] * faces
    damage = "decoded 12 of 24 frames; the file is cut short or damaged"
    detector.about = {"damage": damage, "decoded": 12}
    code, output, _ = run("predict", "a.mp4", "--detector", "det")
    assert code == 3
    assert f"only a part was judged: {damage}" in output
    assert ("no face found in the part that could be decoded" in output) == (not faces)
    document = json.loads(Path("a.fakedetect/verdict.json").read_text())
    assert (document["damage"], document["decoded"]) == (damage, 12)


@pytest.mark.parametrize(
    ("flags", "frames", "words"),
    [
        ([], None, None),
        (["--every", "5"], FrameChoice(every=5), "1 in 5 frames"),
        (["--count", "8"], FrameChoice(count=8), "8 frames"),
        (
            ["--count", "3", "--run-length", "4", "--every", "2"],
            FrameChoice(2, 3, 4),
            "3 runs of 4 frames 2 apart",
        ),
        (["--max-seconds", "2.5"], None, "every frame of the first 2.5 s"),
    ],
)
def test_the_frames_to_look_at_are_asked_for_and_told(run, detector, flags, frames, words):
    seconds = 2.5 if "--max-seconds" in flags else None
    detector.about = {"frames": frames or FrameChoice(), "max_seconds": seconds}
    code, output, _ = run("predict", "a.mp4", "--detector", "det", *flags)
    assert code == 0
    assert detector.asked == [{"face_crops": False, "frames": frames, "max_seconds": seconds}]
    assert ("looked at" not in output) if words is None else (f"looked at: {words}\n" in output)
    kept = frames or FrameChoice()
    assert json.loads(Path("a.fakedetect/verdict.json").read_text())["looked_at"] == {
        "every": kept.every,
        "count": kept.count,
        "run_length": kept.run,
        "max_seconds": seconds,
    }


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--max-seconds", "0"], 2),
        (["--max-seconds", "nan"], 2),
        (["--max-seconds", "x"], 2),
        (["--every", "0"], 1),
        (["--run-length", "4"], 1),
    ],
)
def test_frames_that_make_no_sense_are_refused_before_the_work(run, detector, flags, code):
    assert run("predict", "a.mp4", "--detector", "det", *flags)[0] == code
    assert detector.videos == []


def test_one_bad_video_does_not_stop_the_others(run, detector):
    detector.broken = "bad.mp4"
    code, output, errors = run("predict", "a.mp4", "bad.mp4", "b.mp4", "--detector", "det")
    assert code == 1
    assert errors == "fakedetect: bad.mp4: no frame could be decoded\n"
    assert output.endswith("3 videos: 2 judged, 0 not or in part, 1 failed\n")
    assert [len(people_of(f"{name}.mp4.fakedetect")) for name in ("a", "b")] == [1, 1]
    assert not Path("bad.mp4.fakedetect").exists()
    detector.broken, detector.verdicts = "", [unjudged()]
    code, output, errors = run("predict", "a.mp4", "b.mp4", "--detector", "det")
    assert (code, errors) == (3, "")
    assert output.endswith("2 videos: 0 judged, 2 not or in part, 0 failed\n")


def test_a_bug_stops_with_its_traceback(run, detector, monkeypatch):
    monkeypatch.setattr(detector, "predict", lambda video, **options: 1 / 0)
    code, _, errors = run("predict", "a.mp4", "b.mp4", "--detector", "det")
    assert code == 70
    assert "ZeroDivisionError" in errors


def test_videos_of_one_name_have_folders_of_their_own(run, detector):
    videos = ["one/1.mp4", "two/1.mp4", "two/1.avi", "./one/../one/1.mp4"]
    assert run("predict", *videos, "--detector", "det", "--out", "all")[0] == 0
    assert len(detector.videos) == 3
    found = sorted(str(path.parent) for path in Path("all").rglob("verdict.json"))
    assert found == [f"all/{name}.fakedetect" for name in ("one/1.mp4", "two/1.avi", "two/1.mp4")]
    for folder in found:
        named = json.loads(Path(folder, "verdict.json").read_text())["video"]
        assert named == os.path.abspath(folder.removeprefix("all/").removesuffix(".fakedetect"))


def test_folders_of_long_names_fit_into_file_systems_and_differ():
    videos = ["\N{SNOWMAN}" * 83 + end + ".mp4" for end in "ab"]
    folders = list(result_folders(videos, None).values())
    assert all(len(os.fsencode(folder)) <= 255 and folder.endswith(".fakedetect") for folder in folders)
    assert folders[0] != folders[1]
    assert len(os.fsencode(result_folders(["a" * 255], None)["a" * 255])) == 255
    assert result_folders(["."], None) == {".": f"{Path.cwd().name}.fakedetect"}


def test_a_folder_that_cannot_take_the_results_is_refused_before_the_work(run, detector):
    Path("file").write_text("")
    Path("taken/timeline.png").mkdir(parents=True)
    for out, message in (
        ("file", "file is a file, and no folder for results; give another folder as --out"),
        ("file/below", "file is a file, and no folder for results"),
        ("taken", "taken/timeline.png is a folder; remove it, or give another folder as --out"),
    ):
        code, _, errors = run("predict", "a.mp4", "--detector", "det", "--out", out)
        assert (code, errors.count("\n")) == (1, 1)
        assert errors.startswith(f"fakedetect: {message}")
    assert detector.videos == []


def test_a_folder_that_may_not_be_written_is_refused_before_the_work(run, detector, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    code, _, errors = run("predict", "a.mp4", "--detector", "det", "--out", "out")
    assert code == 1
    assert errors.endswith("nothing may be written there; give another folder as --out\n")
    assert detector.videos == []


def test_a_full_disk_loses_no_verdict_and_leaves_nothing_half_written(run, detector, monkeypatch):
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    code, output, errors = run("predict", "a.mp4", "--detector", "det")
    assert code == 1
    assert "person 0: real  P(fake) = 0.250" in output
    assert errors.startswith("fakedetect: a.fakedetect/verdict.json: no room is left on the disk; free some")
    assert errors.count("\n") == 1
    assert list(Path("a.fakedetect").iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "a:b.mp4",
        "2024-05-01T12:30:05.mp4",
        "Ba$$in.mp4",
        "m\N{SUPERSCRIPT TWO}.mp4",
        "two\nlines.mp4",
        "caf\udce9.mp4",
        "-dash.mp4",
        "\N{SNOWMAN}" * 80 + ".mp4",
    ],
)
def test_any_name_of_a_video_gives_its_verdict(run, detector, name):
    code, output, errors = run("predict", "--detector", "det", "--", name)
    assert (code, errors) == (0, "")
    assert len(output.splitlines()) == 3
    (folder,) = (path for path in Path().iterdir() if path.name.endswith(".fakedetect"))
    assert sorted(os.listdir(folder)) == ["timeline.png", "verdict.json"]
    assert json.loads((folder / "verdict.json").read_text())["video"] == os.path.abspath(name)


def test_a_video_that_breaks_off_is_judged_as_a_part(run, detector, monkeypatch, tmp_path):
    whole = encode(tmp_path / "whole.mkv", face_frames()).read_bytes()
    Path("cut.mkv").write_bytes(whole[: len(whole) // 2])
    extraction = Extraction(size=64)
    spec = ClipSpec(extraction, frames=2, stride=0.08, interval=0.3, size=32, margin=0.1)
    monkeypatch.setattr(inference, "load_detector", lambda folder: tiny_detector(spec))
    code, output, _ = run("predict", "cut.mkv", "--detector", "det")
    document = json.loads(Path("cut.fakedetect/verdict.json").read_text())
    assert code == 3
    assert 0 < document["decoded"] < 46
    assert f"decoded {document['decoded']} of " in document["damage"]
    assert f"only a part was judged: {document['damage']}" in output
    assert {person["verdict"] for person in document["people"]} <= {"fake", "real"}
    code, _, _ = run("predict", str(tmp_path / "whole.mkv"), "--detector", "det", "--max-seconds", "0.4")
    document = json.loads(Path("whole.fakedetect/verdict.json").read_text())
    assert (code, document["damage"]) == (0, "")
    assert max(frame["seconds"] for frame in document["people"][0]["frames"]) < 0.4


def test_a_disk_without_room_for_the_crops_is_named(run, detector, monkeypatch):
    def no_room(video, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    spec = ClipSpec(Extraction(size=64), frames=2, stride=0.08, interval=0.3, size=32, margin=0.1)
    monkeypatch.setattr(inference, "extract_faces", no_room)
    monkeypatch.setattr(inference, "load_detector", lambda folder: tiny_detector(spec))
    code, _, errors = run("predict", "a.mp4", "--detector", "det")
    assert code == 1
    assert errors.startswith(
        f"fakedetect: {tempfile.gettempdir()}: no room is left for the face crops of a.mp4"
    )
    assert "set TMPDIR" in errors
    assert errors.count("\n") == 1
