import cv2
import numpy as np
import pytest

from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.main_person import main_person
from fakedetect_jax.data_builders.engine.report import describe_build
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.faces import Extraction, decoder
from tests.data_builders.engine.test_journal import sequence
from tests.failing_disk import fail_beyond
from tests.listed_videos import ListedVideos
from tests.tiny_dataset import FACE


def people(tmp_path):
    """Two tracks, left and right, and a mask video that is white at the right."""
    left, right = sequence(20), sequence(20, track=1)
    left.box[:] = (5, 5, 45, 60)
    right.box[:] = (75, 10, 115, 60)
    writer = cv2.VideoWriter(str(tmp_path / "mask.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (120, 64))
    for _ in range(20):
        frame = np.zeros((64, 120, 3), np.uint8)
        frame[15:55, 80:110] = 255
        writer.write(frame)
    writer.release()
    return [left, right], tmp_path / "mask.avi"


def test_the_masked_face_is_the_main_one(tmp_path):
    tracks, mask = people(tmp_path)
    assert main_person(tracks, mask) == (1, "mask")


def test_without_a_marked_face_the_first_is(tmp_path):
    tracks, _ = people(tmp_path)
    assert main_person(tracks, None) == (0, "size")
    black = tmp_path / "black.png"
    cv2.imwrite(str(black), np.zeros((64, 120, 3), np.uint8))
    assert main_person(tracks, black) == (0, "size")


def test_a_mask_that_cannot_be_read_is_told_from_none(tmp_path):
    tracks, _ = people(tmp_path)
    (tmp_path / "damaged.avi").write_bytes(b"not a video")
    assert main_person(tracks, tmp_path / "damaged.avi") == (0, "unreadable mask")
    assert main_person(tracks, tmp_path / "none.avi") == (0, "unreadable mask")


@pytest.mark.parametrize("place", [0, 4000])
def test_a_failing_disk_is_not_an_unreadable_mask(tmp_path, monkeypatch, place):
    tracks, mask = people(tmp_path)
    monkeypatch.setattr(decoder, "_BUFFER", 1024)
    fail_beyond(monkeypatch, mask, place)
    with pytest.raises(OSError, match="Input/output"):
        main_person(tracks, mask)


def test_the_report_counts_and_names_unreadable_masks(tmp_path):
    (tmp_path / "damaged.avi").write_bytes(b"not a video")
    items = [
        VideoItem("real", "train", "real", FACE, "a"),
        VideoItem("fake", "train", "swap", FACE, "b", mask=tmp_path / "damaged.avi"),
    ]
    _, report = prepare(ListedVideos(items, data_dir=tmp_path / "data", extraction=Extraction(size=64)))
    assert [video["main_by"] for video in report["videos"]] == ["size", "unreadable mask"]
    lines = describe_build(report).splitlines()
    assert lines[-2].startswith("unreadable masks: 1;")
    assert lines[-1] == f"unreadable mask: {tmp_path / 'damaged.avi'}"
