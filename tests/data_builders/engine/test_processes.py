"""What becomes of videos whose process hangs, crashes or is killed, told by a work that does just that."""

import ctypes
import os
import signal
import time
from pathlib import Path

import pytest

from fakedetect_jax.data_builders.engine import processes
from fakedetect_jax.data_builders.engine.journal import PART_FRAMES, Journal
from fakedetect_jax.data_builders.engine.one_video import extract_item
from fakedetect_jax.data_builders.engine.processes import in_processes
from fakedetect_jax.data_builders.engine.trouble import Trouble
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction
from tests.data_builders.engine.test_journal import sequence
from tests.tiny_dataset import FACE


def item(name, source=None, **about):
    return VideoItem(name, "train", "real", source, "p", **about)


def do(video, progress):
    """Do what the name of a video says."""
    what, _, how = video.video_id.partition(" ")
    match what:
        case "signal":
            os.kill(os.getpid(), signal.Signals[how])
            time.sleep(60)
        case "exit":
            os._exit(int(how))
        case "fetch":
            time.sleep(4)
        case "sleep":
            progress()
            time.sleep(600)
        case "keep":  # the lock of the interpreter
            progress()
            ctypes.PyDLL(None).sleep(600)
        case "slow":
            for _ in range(40):
                time.sleep(0.1)
                progress()
        case "trouble":
            return Trouble(video.key, how, "", "")
    return None


def done(tmp_path, names, *, count, timeout=60.0):
    """Return the troubles and the journalled failures by name, and check that every video was done once."""
    journal = Journal(tmp_path, {})
    items = [item(name) for name in names]
    results = list(in_processes(items, do, journal, count=count, timeout=timeout))
    assert sorted(video.video_id for video, _ in results) == sorted(names)
    troubles = {video.video_id: trouble.reason for video, trouble in results if trouble}
    failures = {video.video_id: journal.outcome(video)["failure"] for video in items if journal.has(video)}
    return troubles, failures


def test_only_the_video_that_ended_its_process_has_failed(tmp_path):
    others = ["good 1", "good 2", "trouble the disk", "good 3"]
    ended = ["signal SIGSEGV", "exit 3", "signal SIGKILL", "signal SIGTERM"]
    names = [name for pair in zip(others, ended, strict=True) for name in pair]
    troubles, failures = done(tmp_path, names, count=2)
    assert failures == {
        "signal SIGSEGV": "the process that decoded it ended (SIGSEGV): the file crashes the decoder",
        "exit 3": "the process that decoded it ended (exit code 3): the file crashes the decoder",
    }
    assert troubles == {
        "trouble the disk": "the disk",
        "signal SIGKILL": "its process was ended from outside (SIGKILL), most likely because memory ran out; take "
        "fewer --workers",
        "signal SIGTERM": "its process was ended from outside (SIGTERM)",
    }


def test_a_video_without_progress_has_failed_and_a_slow_one_has_not(tmp_path):
    troubles, failures = done(tmp_path, ["slow", "sleep", "fetch", "keep", "good"], count=2, timeout=1)
    assert not troubles
    assert failures == dict.fromkeys(
        ["sleep", "keep"], "no frame was decoded for 1 seconds: the file hangs the decoder"
    )


def test_a_video_that_waits_for_a_dead_disk_is_not_to_blame(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_waits_for_a_disk", lambda pid: pid > 0)
    troubles, failures = done(tmp_path, ["sleep", "good"], count=1, timeout=1)
    assert troubles == {"sleep": "a disk or a network did not answer for 1 seconds"}
    assert not failures


class Unreadable:
    """A work that no other process can make."""

    def __call__(self, video, progress):
        return None

    def __reduce__(self):
        return (os._exit, (7,))


def test_a_process_that_cannot_begin_is_no_videos_fault(tmp_path):
    journal = Journal(tmp_path, {})
    with pytest.raises(FakedetectError, match=r"exit code 7\) before it began with real/good.*__main__"):
        list(in_processes([item("good")], Unreadable(), journal, count=1, timeout=60))
    assert not journal.has(item("good"))


def path_of(video, folder):
    return Path(video.source)


def test_the_work_on_a_video_shows_progress_all_the_way(tmp_path):
    calls = []
    journal = Journal(tmp_path, {})
    video = item("v", FACE, mask=FACE)
    extract_item(
        video, lambda: calls.append(1), journal=journal, extraction=Extraction(), materialise=path_of
    )
    # The start, 24 frames of the video, as many of the mask, and one part that is written.
    assert len(calls) == 1 + 24 + 24 + 1
    calls.clear()
    journal.write(item("w"), {}, [sequence(2 * PART_FRAMES + 1)], lambda: calls.append(1))
    assert len(calls) == 3
