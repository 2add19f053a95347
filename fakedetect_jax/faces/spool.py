"""Encoded crops on disk instead of in memory, for videos of any length."""

import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, overload


class Spool:
    """One temporary file, which the system removes with the process, however that ends.

    Args:
        folder: where there is room for it.
    """

    def __init__(self, folder: Path) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (lives as long as its frames)
        self.lock = threading.Lock()


class SpooledFrames(Sequence[bytes]):
    """Byte strings in a spool; several may share one, and several threads may read."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._spans: list[tuple[int, int]] = []

    def append(self, data: bytes) -> None:
        """Add one at the end."""
        with self._spool.lock:
            start = self._spool.file.seek(0, os.SEEK_END)
            self._spool.file.write(data)
        self._spans.append((start, len(data)))

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        start, size = self._spans[index]
        with self._spool.lock:
            self._spool.file.seek(start)
            return self._spool.file.read(size)
