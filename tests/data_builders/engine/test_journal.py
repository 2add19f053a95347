import dataclasses
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from fakedetect_jax.data_builders.engine.journal import PART_FRAMES, Journal
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.faces import FaceSequence


def item(source="somewhere", **changes):
    return dataclasses.replace(VideoItem("v", "train", "real", source, "p"), **changes)


def sequence(length, track=0):
    rng = np.random.default_rng(length)
    return FaceSequence(
        track=track,
        person=track,
        video_frames=2 * length,
        fps=29.97,
        frame_size=(480, 640),
        frames=[rng.bytes(int(rng.integers(1, 50))) for _ in range(length)],
        frame_index=np.arange(length, dtype=np.int32),
        timestamp=np.arange(length, dtype=np.float32) / 30,
        box=rng.normal(size=(length, 4)).astype(np.float32),
        landmarks=rng.normal(size=(length, 81, 2)).astype(np.float32),
        confidence=rng.uniform(size=length).astype(np.float32),
        affine=rng.normal(size=(length, 2, 3)).astype(np.float32),
    )


def assert_equal(got, expected):
    for field in dataclasses.fields(FaceSequence):
        np.testing.assert_array_equal(getattr(got, field.name), getattr(expected, field.name))


def test_what_is_written_is_read(tmp_path):
    journal = Journal(tmp_path, {"size": 256})
    tracks = [sequence(3), sequence(1, track=1)]
    assert not journal.has(item())
    journal.write(item(), {"tracks": 2}, tracks)
    assert journal.has(item())
    assert journal.outcome(item()) == {"tracks": 2}
    for (offset, got), expected in zip(journal.parts(item()), tracks, strict=True):
        assert offset == 0
        assert_equal(got, expected)


def test_a_long_track_is_stored_in_parts(tmp_path):
    journal, track = Journal(tmp_path, {}), sequence(2 * PART_FRAMES + 5)
    journal.write(item(), {}, [track, sequence(3, track=1)])
    offsets, parts = zip(*journal.parts(item()), strict=True)
    assert offsets == (0, PART_FRAMES, 2 * PART_FRAMES, 0)
    assert [len(part) for part in parts] == [PART_FRAMES, PART_FRAMES, 5, 3]
    assert [frame for part in parts[:3] for frame in part.frames] == list(track.frames)
    np.testing.assert_array_equal(np.concatenate([part.landmarks for part in parts[:3]]), track.landmarks)
    assert [part.track for part in parts] == [0, 0, 0, 1]
    assert [part.person for part in parts] == [0, 0, 0, 1]


def test_entries_of_other_settings_methods_splits_or_files_are_not_seen(tmp_path):
    file = tmp_path / "v.mp4"
    journal = Journal(tmp_path / "journal", {"size": 256})
    journal.write(item(file), {}, [])
    assert journal.has(item(file))
    assert not Journal(tmp_path / "journal", {"size": 128}).has(item(file))
    for change in (
        {"method": "swap"},
        {"split": "test"},
        {"video_id": "w"},
        {"source": tmp_path / "x.mp4"},
        {"state": "changed"},
    ):
        assert not journal.has(item(**({"source": file} | change)))


def test_a_second_writer_of_the_same_video_is_no_error(tmp_path):
    journal = Journal(tmp_path, {})
    journal.write(item(), {"tracks": 1}, [sequence(2)])
    journal.write(item(), {"tracks": 1}, [sequence(2)])
    assert len(list(journal.parts(item()))) == 1


def write_twenty(folder):
    journal = Journal(folder, {})
    for number in range(20):
        with journal.scratch():
            journal.write(item(video_id=str(number)), {"tracks": 1}, [sequence(3)])


def test_two_processes_that_do_the_same_videos_leave_whole_entries(tmp_path):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, context) as pool:
        for done in [pool.submit(write_twenty, tmp_path) for _ in range(2)]:
            done.result(120)
    journal = Journal(tmp_path, {})
    for number in range(20):
        ((_, track),) = journal.parts(item(video_id=str(number)))
        assert_equal(track, sequence(3))
        assert journal.outcome(item(video_id=str(number))) == {"tracks": 1}
    assert not any((tmp_path / "scratch").iterdir())


def test_an_entry_that_cannot_be_finished_leaves_none(tmp_path):
    journal = Journal(tmp_path, {})
    with pytest.raises(TypeError):
        journal.write(item(), {"tracks": object()}, [sequence(2)])
    assert not journal.has(item())
    assert not any((tmp_path / "scratch").iterdir())


def test_sweeping_removes_what_a_kill_left(tmp_path):
    journal = Journal(tmp_path, {})
    journal.write(item(), {}, [sequence(2)])
    with journal.scratch() as folder:
        (folder / "half").write_bytes(b"x")
        journal.sweep()
        assert not os.path.exists(folder)
        folder.mkdir(parents=True)
    assert journal.has(item())
