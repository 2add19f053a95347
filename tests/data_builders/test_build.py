"""Builds as users start them, stop them and start them again."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import data_builders.execution
from data_builders.build import TooManyFailures, build, check, create_builder, prepare
from data_builders.execution import Execution, extract_item
from data_builders.journal import Journal
from data_builders.listing import Listing, SourceError, VideoItem
from fakedetect_jax.data.index import dataset_folder, load_index
from fakedetect_jax.faces import Extraction
from fakedetect_jax.faces.choice import FrameChoice
from tests.tiny_dataset import FACE, TinyFaces, build_tiny


def records(folder):
    """Everything that a built version holds, by file."""
    files = [path for path in folder.iterdir() if "array_record" in path.name or "build_report" in path.name]
    return {path.name: path.read_bytes() for path in files}


def finished_videos(journal):
    # Not rglob: folders that vanish while it looks are an error to it.
    return sum("outcome.json" in files for _, _, files in os.walk(journal))


@pytest.fixture(scope="module")
def whole(tiny_data):
    found = records(dataset_folder(tiny_data, "tiny_faces"))
    assert len(found) == 5
    return found


@pytest.mark.parametrize("finished", [1, 5])
def test_a_killed_build_goes_on_and_equals_an_uninterrupted_one(tmp_path, whole, finished):
    command = [sys.executable, "-m", "tests.data_builders.tiny_build", str(tmp_path), "0.2"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    journal = tmp_path / ".unfinished"
    while finished_videos(journal) < finished and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert finished <= finished_videos(journal) < 9

    folder = build_tiny(tmp_path)
    assert records(folder) == whole
    assert not list(journal.rglob("*.*"))


def test_what_was_done_is_not_done_again(tmp_path, monkeypatch):
    calls = []
    extract = data_builders.execution.extract

    def counted(path, **options):
        calls.append(path)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return extract(path, **options)

    monkeypatch.setattr(data_builders.execution, "extract", counted)
    with pytest.raises(KeyboardInterrupt):
        build_tiny(tmp_path)
    build_tiny(tmp_path)
    assert len(calls) == 9 + 1
    build_tiny(tmp_path)
    assert len(calls) == 9 + 1


def test_two_processes_give_the_same_dataset(tmp_path, whole):
    folder, _ = prepare(TinyFaces(data_dir=tmp_path), execution=Execution(workers=2))
    assert records(folder) == whole


def test_beam_gives_the_same_dataset(tmp_path, whole):
    pytest.importorskip("apache_beam")
    folder, _ = prepare(TinyFaces(data_dir=tmp_path), execution=Execution(workers=2, runner="direct"))
    assert records(folder) == whole


def test_an_unknown_runner_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"runner 'slurm'.*dataflow"):
        prepare(TinyFaces(data_dir=tmp_path), execution=Execution(runner="slurm"))


class Crashing(TinyFaces):
    """Its second video takes the decoding process down."""

    def listing(self):
        return Listing(super().listing().items[:4])

    @staticmethod
    def materialise(item, folder):
        if item.video_id == "train1_real":
            os.kill(os.getpid(), signal.SIGKILL)
        return Path(item.source)


def test_a_video_that_kills_its_decoder_is_one_failed_video(tmp_path):
    _, report = prepare(Crashing(data_dir=tmp_path), execution=Execution(workers=2))
    failures = {video["video_id"]: video["failure"] for video in report["videos"] if video["failure"]}
    assert failures.keys() == {"train1_real", "train2_real"}
    assert "crashes the decoder" in failures["train1_real"]


def test_too_many_failures_stop_the_build_and_keep_what_is_done(tmp_path):
    with pytest.raises(TooManyFailures, match=r"1 videos failed.*real/train2_real.*README\.md"):
        prepare(TinyFaces(data_dir=tmp_path), max_failures=0)
    assert len(list((tmp_path / ".unfinished").rglob("outcome.json"))) == 3
    _, report = prepare(TinyFaces(data_dir=tmp_path), max_failures=2)
    assert sum(bool(video["failure"]) for video in report["videos"]) == 2


def test_a_full_disk_is_not_the_videos_fault(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data_builders.execution, "extract", full)
    journal = Journal(tmp_path, {})
    video = VideoItem("v", "train", "real", FACE, "p")
    with pytest.raises(OSError, match="No space"):
        extract_item(video, journal=journal, extraction=Extraction(), materialise=lambda item, _: item.source)
    assert not journal.has(video)


def test_options_are_part_of_the_name_and_of_the_metadata(tmp_path):
    extraction = Extraction(size=64, frames=FrameChoice(count=2, run=3))
    folder, _ = prepare(TinyFaces(data_dir=tmp_path, extraction=extraction))
    assert folder.relative_to(tmp_path) == Path("tiny_faces/2x3-size64/1.0.0")
    assert {entry.frames for entry in load_index(folder, "test")} == {6}
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["extraction"]["frames"] == {"every": 1, "count": 2, "run": 3}
    assert (folder / "build_report.txt").read_text().count("failed: ") == 2


class TwoSplits(TinyFaces):
    def listing(self):
        listing = super().listing()
        listing.items[-1] = dataclasses.replace(listing.items[-1], source_identity="train0")
        return listing


def test_shared_people_are_an_error_before_anything_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(data_builders.execution, "extract", None)
    with pytest.raises(ValueError, match=r"identity 'train0' is in split 'train'.*swap/test2_swap"):
        prepare(TwoSplits(data_dir=tmp_path))


def test_a_missing_source_is_named_with_its_place(tmp_path):
    with pytest.raises(SourceError, match="faceforensics: give --source"):
        create_builder("faceforensics", tmp_path).listing()
    with pytest.raises(SourceError, match="nowhere: no such folder"):
        check("faceforensics", source=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no variant 'c24'; there are \['c23'"):
        build("faceforensics", tmp_path, source=tmp_path, variant="c24")
    with pytest.raises(ValueError, match="unknown dataset 'faceforensic'; there are"):
        build("faceforensic", tmp_path)
