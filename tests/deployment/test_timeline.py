"""The files that `fakedetect predict` writes."""

import dataclasses
import json
import math
import os

import matplotlib.image
import numpy as np
import pytest
import simplejpeg

from fakedetect_jax.deployment import timeline
from fakedetect_jax.deployment.timeline import check_free, draw_timeline, write_json
from fakedetect_jax.deployment.verdict import PersonVerdict, VideoVerdict
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import FaceSequence, FrameChoice


def verdict(person=0, score=0.25, *, frame_score=0.5):
    jpeg = simplejpeg.encode_jpeg(np.full((64, 64, 3), 90, np.uint8))
    sequence = FaceSequence(
        frames=[jpeg] * 12,
        landmarks=np.zeros((12, 81, 2), np.float32),
        box=np.tile(np.float32([0, 0, 10, 10]), (12, 1)),
        frame_index=np.arange(12, dtype=np.int32),
        timestamp=np.arange(12, dtype=np.float32) / 25,
        confidence=np.ones(12, np.float32),
        affine=np.zeros((12, 2, 3), np.float32),
        track=person,
        person=person,
        video_frames=12,
        fps=25.0,
        frame_size=(180, 320),
    )
    boxes = [[0.0, 0.0, 10.0, 10.0]] * 3
    seconds = [0.0, 0.16, 0.32]
    return PersonVerdict(person, score, [score], [0, 4, 8], seconds, [frame_score] * 3, boxes, (sequence,))


def unjudged(person=0):
    gone = {name: [] for name in ("clip_scores", "frame_index", "timestamp", "frame_scores", "box")}
    return dataclasses.replace(verdict(person), score=None, reason="nothing moves", **gone)


def test_the_document_is_whole_and_names_the_video_in_full(tmp_path):
    path = write_json(tmp_path / "new" / "verdict.json", "a/b.mp4", "det", VideoVerdict([verdict()]))
    document = json.loads(path.read_text())
    assert document["video"] == f"{os.getcwd()}/a/b.mp4"
    assert [person["verdict"] for person in document["people"]] == ["real"]
    assert [child.name for child in path.parent.iterdir()] == ["verdict.json"]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1.5, -0.1])
@pytest.mark.parametrize("where", ["score", "frame_score"])
def test_a_score_that_is_none_is_an_error_and_writes_nothing(where, wrong, tmp_path):
    path = tmp_path / "verdict.json"
    with pytest.raises(FakedetectError, match=r"a\.mp4: the detector det gives person 3 a P\(fake\) of "):
        write_json(path, "a.mp4", "det", VideoVerdict([verdict(), verdict(3, **{where: wrong})]))
    assert not path.exists()


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_the_ends_are_scores(score, tmp_path):
    path = write_json(
        tmp_path / "verdict.json", "a.mp4", "det", VideoVerdict([verdict(score=score, frame_score=score)])
    )
    (person,) = json.loads(path.read_text())["people"]
    assert {person["score"], *(frame["score"] for frame in person["frames"])} == {score}


def test_a_verdict_on_another_video_is_not_overwritten(tmp_path):
    check_free(tmp_path, "one/1.mp4")
    write_json(tmp_path / "verdict.json", "one/1.mp4", "det", VideoVerdict([]))
    check_free(tmp_path, "one/1.mp4")
    check_free(tmp_path, "./one/../one/1.mp4")
    with pytest.raises(
        FakedetectError, match=r"verdict.json is of another video, .*one/1.mp4; give another folder"
    ):
        check_free(tmp_path, "two/1.mp4")


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_what_is_no_verdict_is_not_overwritten_either(text, tmp_path):
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(FakedetectError, match="cannot be read as a verdict"):
        check_free(tmp_path, "one/1.mp4")


@pytest.mark.parametrize(
    "name", ["cost $5_vs_$10.mp4", "Ba$$in.mp4", r"a$\foo$.mp4", "caf\udce9.mp4", "x_^{.mp4"]
)
def test_the_title_is_the_name_as_it_is(name, tmp_path):
    path = draw_timeline(tmp_path / "timeline.png", name, VideoVerdict([verdict()]))
    assert path.read_bytes().startswith(b"\x89PNG")
    write_json(tmp_path / "verdict.json", name, "det", VideoVerdict([verdict()]))


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("two\nlines.mp4", ["two\\nlines.mp4"]),
        ("caf\udce9.mp4", ["caf\\xe9.mp4"]),
        ("m\N{SUPERSCRIPT TWO}.mp4", ["m\N{SUPERSCRIPT TWO}.mp4"]),
        ("a" * 250, ["a" * 90, "a" * 90, "a" * 70]),
        ("a" * 300, ["a" * 90, "a" * 90, "a" * 89 + "\N{HORIZONTAL ELLIPSIS}"]),
        ("\N{CJK UNIFIED IDEOGRAPH-9854}" * 60, [45, 15]),
    ],
)
def test_the_title_of_a_strange_or_long_name(name, lines):
    found = timeline.title_lines(name, VideoVerdict([verdict()]), shown=1)
    assert [len(line) if isinstance(lines[0], int) else line for line in found] == lines


def test_the_title_says_what_of_the_video_was_not_seen():
    seen = VideoVerdict([verdict()] * 3, FrameChoice(count=8), 60.0, 8, "decoded 8 of 20 frames")
    assert timeline.title_lines("a/b.mp4", seen, shown=2) == [
        "b.mp4",
        "only a part was judged: decoded 8 of 20 frames",
        "looked at: 8 frames of the first 60 s",
        "the first 2 of 3 people",
    ]


def test_a_person_who_cannot_be_judged_has_faces_and_a_reason_in_the_picture(tmp_path):
    seen = VideoVerdict([unjudged(), verdict(1)])
    picture = matplotlib.image.imread(draw_timeline(tmp_path / "a.png", "a.mp4", seen))[..., :3]
    orange_or_blue = np.ptp(picture, axis=-1) > 0.3
    half = len(picture) // 2
    assert not orange_or_blue[:half].any()
    assert orange_or_blue[half:].any()


def test_a_picture_of_hundreds_of_people_shows_the_first(tmp_path):
    twenty = draw_timeline(
        tmp_path / "twenty.png", "a.mp4", VideoVerdict([verdict(person) for person in range(20)])
    )
    many = draw_timeline(
        tmp_path / "many.png", "a.mp4", VideoVerdict([verdict(person) for person in range(200)])
    )
    left, right = (matplotlib.image.imread(path) for path in (many, twenty))
    # One line more says how many there are.
    assert 0 < len(left) - len(right) < 40
    np.testing.assert_allclose(left.shape[1], right.shape[1])


def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path, monkeypatch):
    path = write_json(tmp_path / "verdict.json", "a.mp4", "det", VideoVerdict([]))
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left") as refused:
        write_json(path, "a.mp4", "det", VideoVerdict([verdict()]))
    assert refused.value.filename == str(path)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["verdict.json"]


def full(path, data):
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
    raise OSError(28, "No space left on device")
