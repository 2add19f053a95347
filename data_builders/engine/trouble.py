"""What keeps a video from being done though it is not to blame: a disk, a network, want of memory, a bug."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path
from typing import NamedTuple, Self

from fakedetect_jax.data_builders.engine.listing import VideoItem
from fakedetect_jax.errors import FakedetectError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class NoRoom(FakedetectError):
    """A full disk, or a quota used up; names the folder."""


class VideosUndone(FakedetectError):
    """Videos are not done for reasons that are not theirs, so no dataset is written."""


class Trouble(NamedTuple):
    """Why a video is not done; the next build tries it again.

    Attributes:
      key: of the video.
      reason: type and message of the error.
      traceback: as Python prints it.
      no_room: the reason in the system's words if it is want of room on a disk, or ''.
    """

    key: str
    reason: str
    traceback: str
    no_room: str

    @classmethod
    def of(cls, item: VideoItem, error: Exception) -> Self:
        """Returns what an error says of a video."""
        trace = "".join(traceback.format_exception(error))
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return cls(item.key, reason, trace, want_of_room(error))


def want_of_room(error: BaseException) -> str:
    """Returns the system's words for a full disk if the error, or what led to it, is one; else ''."""
    cause: BaseException | None = error
    while cause is not None:
        for number in _NO_ROOM:
            # safetensors and ArrayRecord have exceptions of their own, with the system's words in them.
            if getattr(cause, "errno", None) == number or os.strerror(number) in str(cause):
                return os.strerror(number)
        cause = cause.__cause__ or cause.__context__
    return ""


def no_room(folder: Path, words: str) -> NoRoom:
    """Returns the error of a build that a full disk stops."""
    return NoRoom(f"{folder}: {words}. What is done is kept; make room, and the same line goes on")


class TroubleLog:
    """A text file with the tracebacks of one build's troubles, there if there are any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remove()

    def add(self, trouble: Trouble) -> None:
        """Appends a trouble."""
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{trouble.key}: {trouble.reason}\n{trouble.traceback}\n")

    def remove(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)
