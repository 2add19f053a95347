"""A plain copy of an archive's images for the time of a build, so that it is decompressed once and not per sequence."""

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

# Of about 100 MB each. The videos under way at one time are those of fewer archives.
KEPT = 8
_IMAGES, _INDEX = "images", "index.json"
# What file systems say that cannot lock.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}


class PlainCopy(NamedTuple):
    """An open copy.

    Attributes:
      index: by the folder in the archive, each image's name, and where it begins and how long it is in `stream`,
        in natural order.
      stream: the images, one behind the other.
    """

    index: dict[str, list[tuple[str, int, int]]]
    stream: BinaryIO

    def images(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """Yields name and bytes of a folder's images in natural order of their names."""
        for name, start, size in self.index.get(folder, []):
            self.stream.seek(start)
            yield name, self.stream.read(size)


@contextlib.contextmanager
def open_copy(archive: Path, root: Path) -> Iterator[PlainCopy]:
    """Opens the copy of `archive` among those in `root`, and makes it if there is none.

    Any number of processes may ask for it: one makes it, and the others wait. At most `KEPT` copies are kept, those
    that were used last; one that is taken away while it is read can be read to its end.

    Raises:
      VideoError, SourceError, OSError: as `read_images`, or no room.
    """
    root.mkdir(parents=True, exist_ok=True)
    copy = root / _key(archive)
    try:
        with _lock(copy, wait=True):
            opened = _open(archive, copy)
            _drop_oldest(root, keep=copy)
    except _NoLocks:
        # Nobody can wait for anybody: a copy of one's own, which may go as soon as it is open.
        with tempfile.TemporaryDirectory(dir=root) as own:
            opened = _open(archive, Path(own) / "copy")
    with opened.stream:
        yield opened


class _NoLocks(Exception):
    """The file system cannot lock."""


@contextlib.contextmanager
def _lock(copy: Path, *, wait: bool) -> Iterator[None]:
    """Holds what belongs to one copy; the system gives it back when the process ends, however that is.

    Raises:
      BlockingIOError: another holds it, and one need not wait.
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
        # One that another process is about to open stays until the next time.
        with contextlib.suppress(BlockingIOError), _lock(copy, wait=False):
            shutil.rmtree(copy, ignore_errors=True)


def _last_use(copy: Path) -> int:
    try:
        return copy.stat().st_mtime_ns
    except FileNotFoundError:  # another process has just taken it away
        return 0
