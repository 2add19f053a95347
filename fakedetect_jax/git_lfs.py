"""Git LFS pointers: the few lines that a clone without git-lfs has in place of a large file."""

from __future__ import annotations

from pathlib import Path

_START = b"version https://git-lfs.github.com/spec/v1"
# A pointer has three short lines; the real file may happen to begin with the same words.
_LONGEST = 1024


def is_pointer(path: Path) -> bool:
    """Whether the file is a pointer and not what it stands for."""
    with path.open("rb") as stream:
        start = stream.read(_LONGEST + 1)
    return start.startswith(_START) and len(start) <= _LONGEST


def explanation(where: str | Path) -> str:
    """What to tell the user of a pointer: what it is, and how the file itself is fetched."""
    return (
        f"{where}: is a Git LFS pointer, a note of where the file is and not the file itself. Remedy: run 'git lfs "
        "install' and 'git lfs pull' in the clone, or download the file through the publisher's web page"
    )
