"""Every builder on a small tree in its dataset's layout, with real faces and the faults of real downloads."""

import collections
import io
import json
import tarfile

import cv2
import pytest

from fakedetect_jax.data.index import load_index, open_split
from fakedetect_jax.data_builders.engine.build import build, check
from fakedetect_jax.data_builders.engine.report import describe_listing
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.faces import Extraction, extract_faces
from fakedetect_jax.faces.video import open_video
from tests.tiny_dataset import FACE

SMALL = Extraction(size=64)


def built(name, source, data, **options):
    """Build, and return the folder, {(split, method): {video: main track's label}}, and the failures by video."""
    folder, report = build(name, data, source=source, extraction=SMALL, **options)
    entries: dict = {}
    for split in ("train", "validation", "test"):
        if any(row["split"] == split and row["tracks"] for row in report["summary"]):
            for entry in load_index(folder, split).entries:
                if entry.main:
                    entries.setdefault((split, entry.method), {})[entry.video_id] = entry.label
    failures = {f"{v['method']}/{v['video_id']}": v["failure"] for v in report["videos"] if v["failure"]}
    return folder, entries, failures


@pytest.fixture
def faceforensics(tmp_path, clips):
    source = tmp_path / "ffpp"
    reals = source / "original_sequences/youtube/c23/videos"
    fakes = source / "manipulated_sequences"
    clips.put("face", *(reals / f"00{n}.mp4" for n in (0, 2, 3, 5)))
    clips.put("two", reals / "001.mp4")
    for method in ("Deepfakes", "FaceSwap"):
        pairs = ("000_001", "002_003", "003_002", "004_005", "005_004")
        clips.put("face", *(fakes / method / "c23/videos" / f"{pair}.mp4" for pair in pairs))
    clips.put("two", fakes / "Deepfakes/c23/videos/001_000.mp4")
    clips.put("mask_right", fakes / "Deepfakes/masks/videos/001_000.mp4")
    clips.put("corrupt", fakes / "FaceSwap/c23/videos/001_000.mp4")
    clips.put("empty", fakes / "FaceSwap/c23/videos/004_005.mp4")
    splits = source / "dataset/splits"
    splits.mkdir(parents=True)
    for name, pairs in (("train", [["000", "001"]]), ("val", [["002", "003"]]), ("test", [["004", "005"]])):
        (splits / f"{name}.json").write_text(json.dumps(pairs))
    return source


def test_faceforensics(faceforensics, tmp_path):
    folder, entries, failures = built("faceforensics", faceforensics, tmp_path / "data")
    assert folder.parent.name == "c23-size64"
    assert entries == {
        ("train", "real"): {"000": 0, "001": 0},
        ("train", "Deepfakes"): {"000_001": 1, "001_000": 1},
        ("train", "FaceSwap"): {"000_001": 1},
        ("validation", "real"): {"002": 0, "003": 0},
        ("validation", "Deepfakes"): {"002_003": 1, "003_002": 1},
        ("validation", "FaceSwap"): {"002_003": 1, "003_002": 1},
        ("test", "real"): {"005": 0},
        ("test", "Deepfakes"): {"004_005": 1, "005_004": 1},
        ("test", "FaceSwap"): {"005_004": 1},
    }
    assert failures.keys() == {"real/004", "FaceSwap/001_000", "FaceSwap/004_005"}
    assert "no such file" in failures["real/004"]
    assert "not a video" in failures["FaceSwap/001_000"]
    assert failures["FaceSwap/004_005"] == "no face found"


def test_the_mask_tells_which_of_two_faces_is_manipulated(faceforensics, tmp_path, clips):
    folder, _, _ = built("faceforensics", faceforensics, tmp_path / "data")
    main = collections.defaultdict(list)
    for record in open_split(folder, "train"):
        if record["main"]:
            main[record["method"].decode(), record["video_id"].decode()].append(record)
    # Both people are in both videos; the larger one is at the left.
    assert all(record["box"][2] < clips.size[0] for record in main["real", "001"])
    forged = main["Deepfakes", "001_000"]
    assert all(record["box"][0] > clips.size[0] for record in forged)
    assert {record["identity"] for record in forged} == {b"youtube-001"}
    assert {record["source_identity"] for record in forged} == {b"youtube-000"}


def test_a_check_says_what_is_there_without_decoding(faceforensics, monkeypatch):
    monkeypatch.setattr("av.open", None)
    text = describe_listing(check("faceforensics", source=faceforensics))
    rows = {tuple(line.split()[:2]): line.split()[2:] for line in text.splitlines()}
    assert rows["train", "Deepfakes"] == ["2", "0", "720"]
    assert rows["test", "real"] == ["1", "1", "140"]
    assert "missing: " in text
    assert "004.mp4" in text
    assert "Face2Face is left out" in text


def test_a_split_file_with_an_unknown_id_is_named(faceforensics):
    (faceforensics / "dataset/splits/val.json").write_text('[["002", "01x"]]')
    with pytest.raises(SourceError, match=r"val\.json.*01x"):
        check("faceforensics", source=faceforensics)
    (faceforensics / "dataset/splits/val.json").unlink()
    with pytest.raises(SourceError, match=r"val\.json.*github"):
        check("faceforensics", source=faceforensics)


@pytest.mark.parametrize("spelling", ["YouTube-real", "Youtube-real"])
def test_celeb_df(tmp_path, clips, spelling):
    source = tmp_path / "celeb"
    clips.put("face", *(source / "Celeb-real" / f"id{n}_0000.mp4" for n in range(5)))
    clips.put("face", *(source / spelling / "videos" / f"0000{n}.mp4" for n in range(4)))
    fakes = ("id0_id1_0000", "id1_id0_0000", "id2_id3_0000", "id3_id2_0000", "id4_id0_0000", "id0_id1_0001")
    clips.put("face", *(source / "Celeb-synthesis" / f"{name}.mp4" for name in fakes))
    clips.put("corrupt", source / "Celeb-real/id4_0001.mp4")
    listed = ["1 Celeb-real/id0_0000.mp4", f"1 {spelling}/00000.mp4", "0 Celeb-synthesis/id0_id1_0000.mp4"]
    (source / "List_of_testing_videos.txt").write_text("\n".join(listed) + "\n")
    _, entries, failures = built("celeb_df", source, tmp_path / "data")
    # The publisher's 1 is real.
    assert entries["test", "real"] == {"id0_0000": 0, "youtube-00000": 0}
    assert entries["test", "Celeb-synthesis"] == {"id0_id1_0000": 1}
    assert failures.keys() == {"real/id4_0001"}
    elsewhere = {video for (split, _), videos in entries.items() if split != "test" for video in videos}
    assert len(elsewhere) == 5 + 4 + 6 - 3
    held_out = {video for (split, _), videos in entries.items() if split == "validation" for video in videos}
    trained_on = elsewhere - held_out
    people = [{part for video in videos for part in video.split("_") if part.startswith("id")}
              for videos in (held_out, trained_on)]  # fmt: skip
    assert people[0]
    assert not people[0] & people[1]

    (source / "List_of_testing_videos.txt").write_text("1 Celeb-synthesis/id0_id1_0000.mp4\n")
    with pytest.raises(SourceError, match="id0_id1_0000"):
        check("celeb_df", source=source)


def test_deeperforensics(tmp_path, clips):
    source = tmp_path / "df"
    fakes = {"train": ["000_M001.mp4", "001_W002.mp4"], "val": ["002_M003.mp4"], "test": ["003_W004.mp4"]}
    for split, names in fakes.items():
        clips.put("face", *(source / "manipulated_videos/end_to_end" / name for name in names))
        (source / "lists/splits").mkdir(parents=True, exist_ok=True)
        (source / f"lists/splits/{split}.txt").write_text("\n".join(names) + "\n")
    clips.put(
        "face", *(source / "ffpp/original_sequences/youtube/c23/videos" / f"00{n}.mp4" for n in range(4))
    )
    _, entries, failures = built("deeperforensics", source, tmp_path / "data")
    assert not failures
    assert {key: list(videos.values()) for key, videos in entries.items()} == {
        ("train", "real"): [0, 0],
        ("train", "end_to_end"): [1, 1],
        ("validation", "real"): [0],
        ("validation", "end_to_end"): [1],
        ("test", "real"): [0],
        ("test", "end_to_end"): [1],
    }


def test_dfdc(tmp_path, clips):
    source = tmp_path / "dfdc"
    for part in (0, 1):
        folder = source / f"dfdc_train_part_{part}"
        clips.put("face", folder / f"real{part}.mp4", folder / f"fake{part}.mp4")
        clips.put("two", folder / f"other{part}.mp4")
        fake = {"label": "FAKE", "split": "train", "original": f"real{part}.mp4"}
        metadata = {
            f"real{part}.mp4": {"label": "REAL", "split": "train"},
            f"fake{part}.mp4": fake,
            f"other{part}.mp4": fake,
        }
        (folder / "metadata.json").write_text(json.dumps(metadata))
    clips.put("face", source / "test/aaaa.mp4", source / "test/bbbb.mp4")
    clips.put("empty", source / "test/cccc.mp4")
    (source / "test/labels.csv").write_text(
        "filename,label\naaaa.mp4,0\nbbbb.mp4,1\ncccc.mp4,1\ndddd.mp4,1\n"
    )
    folder, entries, failures = built("dfdc", source, tmp_path / "data")
    assert entries["test", "real"] == {"aaaa": 0}
    assert entries["test", "fake"] == {"bbbb": 1}
    assert failures.keys() == {"fake/cccc", "fake/dddd"}
    # A whole part is held out.
    held_out = entries["validation", "real"] | entries["validation", "fake"]
    trained_on = entries["train", "real"] | entries["train", "fake"]
    assert {video[-1] for video in held_out} == {"0", "1"} - {video[-1] for video in trained_on}
    assert sorted(held_out.values()) == sorted(trained_on.values()) == [0, 1, 1]
    both = [entry for entry in load_index(folder, "train").entries if entry.video_id.startswith("other")]
    assert {entry.track: entry.main for entry in both} == {0: True, 1: False}

    with pytest.raises(SourceError, match=r"dfdc_all_vids\.txt.*LipForensics"):
        check("dfdc", source=source, variant="full_3215")
    (source / "dfdc_all_vids.txt").write_text("aaaa.mp4\nbbbb.mp4\n")
    listing = check("dfdc", source=source, variant="full_3215")
    assert {item.video_id for item in listing.items if item.split == "test"} == {"aaaa", "bbbb"}


def test_wild_deepfake(tmp_path, clips):
    source = tmp_path / "deepfake_in_the_wild"
    image = next(iter(open_video(FACE).frames)).image
    (x0, y0, x1, y1) = extract_faces(FACE, max_frames=1)[0].box[0].astype(int)
    face = cv2.imencode(".png", cv2.resize(image[y0:y1, x0:x1], (224, 224)))[1].tobytes()
    for folder, kind, numbers in (
        ("real_train", "real", (1, 2, 3)),
        ("fake train", "fake", (1, 2)),
        ("real_test", "real", (9,)),
        ("fake_test", "fake", (9,)),
    ):
        for number in numbers:
            (source / folder).mkdir(parents=True, exist_ok=True)
            with tarfile.open(source / folder / f"{number}.tar.gz", "w:gz") as archive:
                for frame in (2, 10, 1):
                    member = tarfile.TarInfo(f"./{number}/{kind}/{7}/{frame}.png")
                    member.size = len(face)
                    archive.addfile(member, io.BytesIO(face))
    (source / "real_test" / "10.tar.gz").write_bytes(b"cut short")
    folder, entries, failures = built("wild_deepfake", source, tmp_path / "data")
    assert {key: list(videos.values()) for key, videos in entries.items()} == {
        ("train", "real"): [0, 0],
        ("train", "fake"): [1],
        ("validation", "real"): [0],
        ("validation", "fake"): [1],
        ("test", "real"): [0],
        ("test", "fake"): [1],
    }
    assert len(failures) == 1
    assert "10.tar.gz" in next(iter(failures.values()))
    assert {entry.frames for entry in load_index(folder, "test").entries} == {3}

    with tarfile.open(source / "real_train" / "4.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../../outside.png"))
    with pytest.raises(SourceError, match=r"4\.tar\.gz.*outside\.png"):
        check("wild_deepfake", source=source)


def test_video_folder(tmp_path, clips):
    source = tmp_path / "mine"
    clips.put("face", source / "real/a.mp4", source / "fake/app/a.mp4", source / "fake/app/deep/b.mp4")
    clips.put("corrupt", source / "fake/web/c.mp4")
    _, entries, failures = built("video_folder", source, tmp_path / "data")
    assert {key: sorted(videos.values()) for key, videos in entries.items()} == {
        ("test", "real"): [0],
        ("test", "app"): [1, 1],
    }
    assert len(failures) == 1

    rows = ["path,label,method,identity,split", "real/a.mp4,0,,anna,train", "fake/app/a.mp4,1,app,ben,test"]
    (source / "videos.csv").write_text("\n".join(rows) + "\n")
    _, entries, _ = built("video_folder", source, tmp_path / "listed")
    assert {key: list(videos.values()) for key, videos in entries.items()} == {
        ("train", "real"): [0],
        ("test", "app"): [1],
    }
