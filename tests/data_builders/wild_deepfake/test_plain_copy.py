"""How often an archive is decompressed, by one process, by several, and where nothing can be locked."""

import errno
import fcntl
import gzip
import io
import multiprocessing
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.data_builders.wild_deepfake import archive as archive_module
from fakedetect_jax.data_builders.wild_deepfake import plain_copy
from fakedetect_jax.data_builders.wild_deepfake.layout import list_videos
from fakedetect_jax.data_builders.wild_deepfake.plain_copy import KEPT, open_copy
from fakedetect_jax.data_builders.wild_deepfake.sequences import write_frames
from fakedetect_jax.faces import VideoError
from fakedetect_jax.faces.video import open_video

SEQUENCES, FRAMES = 7, 3


def make(path: Path, tag: int = 0, sequences: int = SEQUENCES) -> Path:
    """Frame f of sequence s has a single grey, 10 * s + f + tag; the frames of all sequences are mixed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for frame in reversed(range(FRAMES)):
            for sequence in range(sequences):
                grey = np.full((8, 8, 3), 10 * sequence + frame + tag, np.uint8)
                data = cv2.imencode(".png", grey)[1].tobytes()
                info = tarfile.TarInfo(f"1/real/{sequence}/{frame}.png")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


class Counted:
    """A replacement of gzip.open that counts what comes out."""

    def __init__(self):
        self.bytes = 0

    def open(self, path):
        counter = self

        class Stream(gzip.GzipFile):
            def read(self, size=-1):
                data = super().read(size)
                counter.bytes += len(data)
                return data

        return Stream(path)


@pytest.fixture
def counted(monkeypatch):
    counter = Counted()
    monkeypatch.setattr(archive_module.gzip, "open", counter.open)
    return counter


def write(item: VideoItem, scratch: Path) -> list[int]:
    """Return the greys of a sequence's frames in their order."""
    folder = scratch / item.video_id
    folder.mkdir(parents=True)
    write_frames(item, folder)
    return [int(frame.image[0, 0, 0]) for frame in open_video(folder).frames]


def test_an_archive_is_decompressed_once_for_the_list_and_once_for_all_sequences(tmp_path, counted):
    path = make(tmp_path / "source" / "real_test" / "1.tar.gz")
    size = len(gzip.decompress(path.read_bytes()))
    items = list_videos(tmp_path / "source").items
    assert len(items) == SEQUENCES
    assert counted.bytes == size
    for number, item in enumerate(items):
        assert write(item, tmp_path / "scratch") == [10 * number + frame for frame in range(FRAMES)]
        assert counted.bytes == 2 * size


def test_a_build_that_goes_on_decompresses_what_is_left_only(tmp_path, counted):
    for number in range(3):
        make(tmp_path / "source" / "real_test" / f"{number}.tar.gz", number)
    items = list_videos(tmp_path / "source").items
    before = counted.bytes
    assert write(items[-1], tmp_path / "scratch") == [
        10 * (SEQUENCES - 1) + frame + 2 for frame in range(FRAMES)
    ]
    assert counted.bytes - before == before / 3


def _worker(items, scratch, ready, number):
    counter = Counted()
    archive_module.gzip.open = counter.open
    (ready / str(number)).touch()
    while len(list(ready.iterdir())) < 2:
        time.sleep(0.01)
    return [write(item, scratch) for item in items], counter.bytes


def test_two_processes_that_want_one_archive_decompress_it_once(tmp_path):
    path = make(tmp_path / "source" / "real_test" / "1.tar.gz")
    items = list_videos(tmp_path / "source").items
    (tmp_path / "ready").mkdir()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        work = [(items[n::2], tmp_path / "scratch", tmp_path / "ready", n) for n in range(2)]
        (even, first), (odd, second) = pool.starmap(_worker, work)
    assert sorted(even + odd) == [[10 * n + frame for frame in range(FRAMES)] for n in range(SEQUENCES)]
    assert first + second == len(gzip.decompress(path.read_bytes()))
    assert 0 in (first, second)


def copies(root: Path) -> int:
    return len(list(root.glob("*/index.json")))


def test_the_copies_that_were_used_last_are_kept(tmp_path, counted):
    root = tmp_path / "copies"
    paths = [make(tmp_path / f"{number}.tar.gz", number, 1) for number in range(KEPT + 3)]
    for path in paths:
        with open_copy(path, root):
            pass
        with open_copy(paths[0], root) as first:
            assert [name for name, _ in first.images("1/real/0")] == ["0.png", "1.png", "2.png"]
        assert copies(root) <= KEPT
    assert copies(root) == KEPT
    before = counted.bytes
    with open_copy(paths[0], root), open_copy(paths[-1], root):
        assert counted.bytes == before
    with open_copy(paths[1], root):
        assert counted.bytes > before


def test_a_copy_that_is_taken_away_is_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_copy, "KEPT", 2)
    root = tmp_path / "copies"
    paths = [make(tmp_path / f"{number}.tar.gz", number, 1) for number in range(4)]
    with open_copy(paths[0], root) as first:
        for path in paths[1:]:
            with open_copy(path, root):
                pass
        assert copies(root) == 2
        assert len([data for _, data in first.images("1/real/0") if data.startswith(b"\x89PNG")]) == FRAMES


def test_a_copy_that_another_is_about_to_open_is_not_taken_away(tmp_path, monkeypatch):
    monkeypatch.setattr(plain_copy, "KEPT", 2)
    root = tmp_path / "copies"
    paths = [make(tmp_path / f"{number}.tar.gz", number, 1) for number in range(4)]
    with open_copy(paths[0], root):
        (lock,) = root.glob("*.lock")
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for path in paths[1:]:
            with open_copy(path, root):
                pass
        assert lock.with_suffix("").exists()


def test_where_nothing_can_be_locked_each_makes_a_copy_of_its_own(tmp_path, monkeypatch, counted):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(plain_copy.fcntl, "flock", no_locks)
    path = make(tmp_path / "source" / "real_test" / "1.tar.gz")
    items = list_videos(tmp_path / "source").items
    for number, item in enumerate(items[:2]):
        assert write(item, tmp_path / "scratch") == [10 * number + frame for frame in range(FRAMES)]
    assert counted.bytes == 3 * len(gzip.decompress(path.read_bytes()))
    assert copies(tmp_path / "scratch" / "archives") == 0


def test_a_damaged_archive_leaves_no_copy(tmp_path):
    path = make(tmp_path / "1.tar.gz")
    path.write_bytes(path.read_bytes()[:-8])
    with (
        pytest.raises(VideoError, match=r"1\.tar\.gz: the archive is damaged"),
        open_copy(path, tmp_path / "copies"),
    ):
        pass
    assert [entry.suffix for entry in (tmp_path / "copies").iterdir()] == [".lock"]


def test_a_full_disk_is_no_fault_of_the_archive(tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = make(tmp_path / "1.tar.gz")
    monkeypatch.setattr(Path, "rename", no_room)
    with pytest.raises(OSError, match="No space left") as caught, open_copy(path, tmp_path / "copies"):
        pass
    assert caught.value.errno == errno.ENOSPC
    assert copies(tmp_path / "copies") == 0


def test_many_at_once_with_fewer_copies_than_archives(tmp_path, monkeypatch):
    """Copies are made, opened and removed all the time, and every reader gets its own archive's images."""
    monkeypatch.setattr(plain_copy, "KEPT", 2)
    paths = [make(tmp_path / f"{number}.tar.gz", number, 1) for number in range(6)]

    def read(number: int) -> bool:
        with open_copy(paths[number], tmp_path / "copies") as copy:
            images = [cv2.imdecode(np.frombuffer(data, np.uint8), 0) for _, data in copy.images("1/real/0")]
        return [int(image[0, 0]) for image in images if image is not None] == [number, number + 1, number + 2]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, [n * k % 6 for n in range(60) for k in (1, 5)]))
