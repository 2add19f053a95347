"""A plain copy of an archive's images during a build, so that the archive is not decompressed for every sequence."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fakedetect_jax.data_builders.wild_deepfake.archive import natural_key, read_images

# A copy has about 100 MB. The videos under way at one time come from fewer archives than this.
KEPT = 8
_IMAGES, _INDEX = "images", "index.json"
# The errors of file systems that cannot lock.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}


class PlainCopy(NamedTuple):
    """An open copy.

    Attributes:
        index: For each folder of the archive, its images in natural order: name, start in `stream`, length in bytes.
        stream: The images, one after the other.
    """

    index: dict[str, list[tuple[str, int, int]]]
    stream: BinaryIO

    def images(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of a folder's images in the natural order of their names."""
        for name, start, size in self.index.get(folder, []):
            self.stream.seek(start)
            yield name, self.stream.read(size)


@contextlib.contextmanager
def open_copy(archive: Path, root: Path) -> Iterator[PlainCopy]:
    """Open the copy of `archive` among those in `root`; make it if there is none.

    Any number of processes may ask for it: one makes it, and the others wait. At most the `KEPT` copies used last are
    kept; a copy that is removed while a process reads it can be read to its end.

    Raises:
        VideoError: The archive is damaged; see `read_images`.
        SourceError: The archive must not be unpacked; see `read_images`.
        OSError: The disk or the network failed, or there is no room.
    """
    root.mkdir(parents=True, exist_ok=True)
    copy = root / _key(archive)
    try:
        with _lock(copy, wait=True):
            opened = _open(archive, copy)
            _drop_oldest(root, keep=copy)
    except _NoLocks:
        # Processes cannot wait for each other: make a private copy, which can go as soon as it is open.
        with tempfile.TemporaryDirectory(dir=root) as own:
            opened = _open(archive, Path(own) / "copy")
    with opened.stream:
        yield opened


class _NoLocks(Exception):
    """The file system cannot lock."""


@contextlib.contextmanager
def _lock(copy: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock of one copy; the system releases it when the process ends, however it ends.

    Raises:
        BlockingIOError: Another process holds it, and `wait` is false.
    """
    with copy.with_suffix(".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise _NoLocks from error
            raise
        yield


def _key(archive: Path) -> str:
    status = archive.stat()
    about = f"{archive.resolve()}\n{status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(os.fsencode(about)).hexdigest()[:32]


def _open(archive: Path, copy: Path) -> PlainCopy:
    if not copy.exists():
        _make(archive, copy)
    os.utime(copy)
    return PlainCopy(json.loads((copy / _INDEX).read_text()), (copy / _IMAGES).open("rb"))


def _make(archive: Path, copy: Path) -> None:
    index: dict[str, list[tuple[str, int, int]]] = {}
    with tempfile.TemporaryDirectory(dir=copy.parent) as folder:
        partial = Path(folder) / "partial"
        partial.mkdir()
        with (partial / _IMAGES).open("wb") as stream:
            for image in read_images(archive):
                index.setdefault(image.folder, []).append((image.name, stream.tell(), len(image.data)))
                stream.write(image.data)
        for images in index.values():
            images.sort(key=lambda image: natural_key(image[0]))
        (partial / _INDEX).write_text(json.dumps(index))
        partial.rename(copy)


def _drop_oldest(root: Path, keep: Path) -> None:
    copies = [index.parent for index in root.glob(f"*/{_INDEX}") if index.parent != keep]
    for copy in sorted(copies, key=_last_use)[: -(KEPT - 1)]:
        # A copy that another process is about to open stays until the next time.
        with contextlib.suppress(BlockingIOError), _lock(copy, wait=False):
            shutil.rmtree(copy, ignore_errors=True)


def _last_use(copy: Path) -> int:
    try:
        return copy.stat().st_mtime_ns
    except FileNotFoundError:  # another process has just removed it
        return 0
