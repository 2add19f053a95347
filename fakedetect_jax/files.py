"""Files: written whole or not at all, and told from the pointers that Git LFS leaves in a clone."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

_POINTER = b"version https://git-lfs.github.com/spec/v1"
# A pointer has three short lines; the real file may happen to begin with the same words.
_LONGEST_POINTER = 1024


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Writes beside `path` and renames into place; parent folders are made, and the mode follows the umask.

    Raises:
      OSError: no room, or no right to write; what was there stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
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


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Writes text as UTF-8, line ends as they are; see `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def write_tensors(
    path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a safetensors file of arrays by name, and texts beside them; see `write_bytes`.

    safetensors' own `save_file` makes a file that its owner alone can read, and reports a full disk by an exception of
    its own.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, save(contiguous, metadata=dict(metadata) if metadata else None))


def is_lfs_pointer(path: Path) -> bool:
    """Returns whether the file is the pointer that a clone without git-lfs has in place of a large file."""
    with path.open("rb") as stream:
        start = stream.read(_LONGEST_POINTER + 1)
    return start.startswith(_POINTER) and len(start) <= _LONGEST_POINTER


def explain_lfs_pointer(where: str | Path) -> str:
    """Says what a pointer is, and how the file itself is fetched."""
    return (
        f"{where}: is a Git LFS pointer, a note of where the file is and not the file itself. Remedy: run 'git lfs "
        "install' and 'git lfs pull' in the clone, or download the file through the publisher's web page"
    )
