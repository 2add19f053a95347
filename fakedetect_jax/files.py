"""Files: paths on a disk or in a bucket, written completely or not at all, and told from Git LFS pointers."""

from __future__ import annotations

import importlib.util
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from etils import epath
from safetensors.numpy import save

from fakedetect_jax.errors import FakedetectError

# A path on a disk, or one in a bucket: epath.Path has the methods of pathlib.Path.
AnyPath: TypeAlias = Path | epath.Path
PathLike: TypeAlias = str | os.PathLike[str]

_BUCKET = "gs://"
_POINTER = b"version https://git-lfs.github.com/spec/v1"
# A pointer has three short lines; the real file may happen to begin with the same words.
_LONGEST_POINTER = 1024


def to_path(path: PathLike) -> AnyPath:
    """Return a path on a disk as pathlib.Path, and one in a bucket (gs://bucket/folder) as epath.Path.

    Raises:
        FakedetectError: the path is in storage of another kind, or the package that reads buckets is missing.
    """
    if isinstance(path, Path):
        return path
    text = os.fspath(path)
    scheme, found, _ = text.partition("://")
    if not found:
        return Path(text)
    if not is_remote(text):
        raise FakedetectError(
            f"{text}: {scheme}:// is not supported; use a folder on a disk or gs://BUCKET/FOLDER, or mount the storage"
            " and name the folder where it is mounted"
        )
    if not any(importlib.util.find_spec(package) for package in ("gcsfs", "tensorflow")):
        raise FakedetectError(f"{text}: to use a bucket, install gcsfs (pip install 'fakedetect_jax[gcs]')")
    return epath.Path(text)


def is_remote(path: PathLike) -> bool:
    """Return whether a path is in a bucket."""
    return os.fspath(path).startswith(_BUCKET)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, if they are not there.

    Raises:
        FakedetectError: a file has the name of one of them.
        OSError: it cannot be made; names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(place for place in (folder, *folder.parents) if place.exists())
        raise FakedetectError(
            f"{file} is a file, but must be a folder; move it away, or name another"
        ) from None


def write_bytes(path: PathLike, data: bytes) -> AnyPath:
    """Write a file completely or not at all, and return its path.

    On a disk the data goes to a file beside `path`, which is then renamed; parent folders are made, and the mode
    follows the umask. In a bucket, an object appears when it is complete.

    Raises:
        FakedetectError: a file has the name of a parent folder.
        OSError: there is no room, or no right to write; an existing file stays as it was.
    """
    path = to_path(path)
    if not isinstance(path, Path):
        path.write_bytes(data)
        return path
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        # The system does not say for which file there was no room.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def write_text(path: PathLike, text: str) -> AnyPath:
    """Write text as UTF-8 with its line ends unchanged; see `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_tensors(
    path: PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file of arrays by name, with texts as its metadata; see `write_bytes`.

    safetensors' own `save_file` makes a file that only its owner can read, and reports a full disk by an exception of
    its own.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, _sorted_head(save(contiguous, metadata=dict(metadata) if metadata else None)))


def _sorted_head(data: bytes) -> bytes:
    """Return a safetensors file with the names in its head sorted: their order is left to chance otherwise."""
    end = 8 + int.from_bytes(data[:8], "little")
    head = json.dumps(
        json.loads(data[8:end]), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    ).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + data[end:]


def is_lfs_pointer(path: Path) -> bool:
    """Return whether the file is the pointer that a clone without git-lfs has in place of a large file."""
    with path.open("rb") as stream:
        start = stream.read(_LONGEST_POINTER + 1)
    return start.startswith(_POINTER) and len(start) <= _LONGEST_POINTER


def explain_lfs_pointer(where: str | Path) -> str:
    """Say what a pointer is, and how to get the file itself."""
    return (
        f"{where}: is a Git LFS pointer, a note of where the file is and not the file itself. Remedy: run 'git lfs "
        "install' and 'git lfs pull' in the clone, or download the file through the publisher's web page"
    )
