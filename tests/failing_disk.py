"""A disk that fails."""

import builtins
import errno
import io
import os
from pathlib import Path

import pytest


class _Failing(io.BufferedReader):
    def __init__(self, raw: io.FileIO, place: int) -> None:
        super().__init__(raw)
        self._place = place

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or self.tell() + size > self._place:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().read(size)


def fail_beyond(monkeypatch: pytest.MonkeyPatch, path: Path, place: int) -> None:
    """Let each read beyond so many bytes of a file, or of a file in a folder, fail."""
    whole = io.open

    def opened(file, mode="r", *arguments, **options):
        is_below = isinstance(file, str | os.PathLike) and path in (Path(file), *Path(file).parents)
        return _Failing(io.FileIO(file), place) if is_below else whole(file, mode, *arguments, **options)

    for module in (io, builtins):
        monkeypatch.setattr(module, "open", opened)
