"""Trouble that is not a video's fault is named, no dataset is written, and the next build tries again."""

import errno
import json
import multiprocessing
import os
import shutil
from pathlib import Path

import cv2
import pytest

from fakedetect_jax.data_builders.engine import one_video
from fakedetect_jax.data_builders.engine.build import TooManyFailures, prepare
from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.one_video import extract_item
from fakedetect_jax.data_builders.engine.trouble import NoRoom, VideosUndone
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.data_builders.engine.workers import Workers
from fakedetect_jax.faces import Extraction, decoder
from tests.failing_disk import fail_beyond
from tests.tiny_dataset import BROKEN, FACE, IN_THIS_PROCESS, TinyFaces, build_tiny

VICTIM = "test0_real"


def path_of(item, folder):
    return Path(item.source)


def extracted(journal, *, materialise=path_of, source=FACE):
    item = VideoItem("v", "train", "real", source, "p")
    return item, extract_item(
        item, lambda: None, journal=journal, extraction=Extraction(), materialise=materialise
    )


def raising(error):
    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.EMFILE, "Too many open files"),
        MemoryError("Unable to allocate"),
        ValueError("a bug"),
    ],
)
def test_trouble_of_the_moment_is_told_and_not_journalled(tmp_path, monkeypatch, error):
    journal = Journal(tmp_path, {})
    monkeypatch.setattr(one_video, "extract_faces", raising(error))
    item, trouble = extracted(journal)
    assert trouble.key == "real/v"
    assert trouble.reason == f"{type(error).__name__}: {error}"
    assert "in fail\n    raise error" in trouble.traceback
    assert not trouble.no_room
    assert not journal.has(item)
    monkeypatch.undo()
    assert extracted(journal)[1] is None
    assert journal.outcome(item)["tracks"] == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("kind", [OSError, "SafetensorError", "RuntimeError"])
def test_a_full_disk_is_known_in_all_its_forms(tmp_path, monkeypatch, number, kind):
    if kind is OSError:
        error = OSError(number, os.strerror(number))
    else:
        # safetensors and ArrayRecord report the system's errors in words of their own.
        error = RuntimeError(f"I/O error: {os.strerror(number)} (os error {number})")
    monkeypatch.setattr(one_video, "extract_faces", raising(error))
    journal = Journal(tmp_path, {})
    item, trouble = extracted(journal)
    assert trouble.no_room
    assert not journal.has(item)


def test_the_videos_own_faults_are_journalled(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "broken", {})
    item, trouble = extracted(journal, source=BROKEN)
    assert trouble is None
    assert "README.md" in journal.outcome(item)["failure"]

    journal = Journal(tmp_path / "opencv", {})
    monkeypatch.setattr(one_video, "extract_faces", raising(cv2.error("bad image")))
    item, trouble = extracted(journal)
    assert trouble is None
    assert journal.outcome(item)["failure"] == "error: bad image"


def test_want_of_memory_in_opencv_is_not_the_videos_fault(tmp_path, monkeypatch):
    error = cv2.error("Failed to allocate")
    error.code = cv2.Error.StsNoMem
    monkeypatch.setattr(one_video, "extract_faces", raising(error))
    journal = Journal(tmp_path, {})
    item, trouble = extracted(journal)
    assert trouble.reason == "error: Failed to allocate"
    assert not journal.has(item)


@pytest.mark.parametrize("place", [0, 8000])
def test_a_file_that_cannot_be_read_is_not_a_broken_video(tmp_path, monkeypatch, place):
    video = tmp_path / "v.mp4"
    shutil.copy(FACE, video)
    monkeypatch.setattr(decoder, "_BUFFER", 1024)
    fail_beyond(monkeypatch, video, place)
    journal = Journal(tmp_path / "journal", {})
    item, trouble = extracted(journal, source=video)
    assert "Input/output error" in trouble.reason
    assert not journal.has(item)


def test_a_scratch_folder_that_was_swept_away_is_not_the_videos_fault(tmp_path):
    def swept(item, folder):
        shutil.rmtree(folder)
        return folder / "made.mp4"

    journal = Journal(tmp_path, {})
    item, trouble = extracted(journal, materialise=swept)
    assert "FileNotFoundError" in trouble.reason
    assert not journal.has(item)


def unlucky_path(item, folder):
    if item.video_id == VICTIM:
        raise OSError(errno.EIO, "Input/output error")
    return Path(item.source)


@pytest.mark.parametrize("workers", [IN_THIS_PROCESS, Workers(processes=2)], ids=["here", "processes"])
def test_a_build_with_undone_videos_does_the_others_and_writes_no_dataset(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(TinyFaces, "materialise", staticmethod(unlucky_path))
    with pytest.raises(
        VideosUndone, match=rf"1 of 9 videos.*real/{VICTIM}: OSError: .*output error.*the same command"
    ) as caught:
        prepare(TinyFaces(data_dir=tmp_path), workers=workers)
    (log,) = (tmp_path / ".unfinished").rglob("*.log")
    assert str(log) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert f"real/{VICTIM}: OSError" in log.read_text()
    assert "in unlucky_path" in log.read_text()
    assert not (tmp_path / "tiny_faces").exists()
    assert len(list((tmp_path / ".unfinished").rglob("outcome.json"))) == 8

    monkeypatch.undo()
    folder = build_tiny(tmp_path)
    report = json.loads((folder / "build_report.json").read_text())
    assert sum(bool(video["failure"]) for video in report["videos"]) == 2
    assert not (tmp_path / ".unfinished").exists()


def test_undone_videos_count_as_failures(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyFaces, "materialise", staticmethod(unlucky_path))
    with pytest.raises(TooManyFailures, match=rf"2 videos failed.*real/{VICTIM}: OSError"):
        prepare(TinyFaces(data_dir=tmp_path), workers=IN_THIS_PROCESS, max_failures=1)


def test_a_video_that_is_undone_each_time_is_built_without_once_its_file_is_away(tmp_path, monkeypatch):
    video = tmp_path / "v.mp4"
    shutil.copy(FACE, video)

    def of_victim(item, folder):
        return video if item.video_id == VICTIM else Path(item.source)

    def buggy(path, **options):
        if Path(path) == video and video.exists():
            raise ValueError("a bug")
        return extract(path, **options)

    extract = one_video.extract_faces
    monkeypatch.setattr(TinyFaces, "materialise", staticmethod(of_victim))
    monkeypatch.setattr(one_video, "extract_faces", buggy)
    for _ in range(2):
        with pytest.raises(VideosUndone, match=r"ValueError: a bug.*moved away"):
            build_tiny(tmp_path / "data")
    video.unlink()
    report = json.loads((build_tiny(tmp_path / "data") / "build_report.json").read_text())
    failures = {row["video_id"]: row["failure"] for row in report["videos"] if row["failure"]}
    assert "no such file" in failures[VICTIM]


def full_disk_path(item, folder):
    if item.video_id == VICTIM:
        raise OSError(errno.ENOSPC, "No space left on device")
    return Path(item.source)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_stops_the_build_in_one_line(tmp_path, monkeypatch, workers):
    monkeypatch.setattr(TinyFaces, "materialise", staticmethod(full_disk_path))
    with pytest.raises(NoRoom) as caught:
        prepare(TinyFaces(data_dir=tmp_path), workers=Workers(processes=workers))
    # The lock is free now, so nobody may be at work any more.
    assert not multiprocessing.active_children()
    assert str(tmp_path) in str(caught.value)
    assert "No space left" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "tiny_faces").exists()
    monkeypatch.undo()
    build_tiny(tmp_path)


def test_a_disk_that_fills_up_while_the_records_are_written(tmp_path, monkeypatch):
    def full(builder, items, journal):
        raise RuntimeError("Riegeli: write() failed\n[errno]: No space left on device") from None

    monkeypatch.setattr(TinyFaces, "prepare", full)
    with pytest.raises(NoRoom, match="No space left") as caught:
        build_tiny(tmp_path)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    build_tiny(tmp_path)


def test_other_errors_of_writing_keep_their_traceback(tmp_path, monkeypatch):
    monkeypatch.setattr(TinyFaces, "prepare", raising(RuntimeError("a bug")))
    with pytest.raises(RuntimeError, match="a bug"):
        build_tiny(tmp_path)
