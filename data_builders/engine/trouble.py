"""What keeps a video from being done without being its fault: a disk, a network, lack of memory, a bug."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path
from typing import NamedTuple

from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.errors import FakedetectError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class NoRoom(FakedetectError):
    """A full disk, or a quota that is used up; the message names the folder."""


class VideosUndone(FakedetectError):
    """Videos that are not done for reasons that are not theirs, so that no dataset is written."""


class Trouble(NamedTuple):
    """Why a video is not done; the next build tries it again.

    Attributes:
        key: The video's key.
        reason: Type and message of the error.
        traceback: The traceback as Python prints it.
        no_room: The system's words if a disk is full, else ''.
    """

    key: str
    reason: str
    traceback: str
    no_room: str

    @classmethod
    def of(cls, item: VideoItem, error: Exception) -> Trouble:
        """Return what an error says about a video."""
        trace = "".join(traceback.format_exception(error))
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return cls(item.key, reason, trace, want_of_room(error))


def want_of_room(error: BaseException) -> str:
    """Return the system's words for a full disk if that is the error, or what led to it, else ''."""
    cause: BaseException | None = error
    while cause is not None:
        for number in _NO_ROOM:
            # safetensors and ArrayRecord raise exceptions of their own that quote the system.
            if getattr(cause, "errno", None) == number or os.strerror(number) in str(cause):
                return os.strerror(number)
        cause = cause.__cause__ or cause.__context__
    return ""


def no_room(folder: Path, words: str) -> NoRoom:
    """Return the error of a build that a full disk stops."""
    return NoRoom(
        f"{folder}: {words}. Finished videos are kept; make room, and the same command goes on from there"
    )


class TroubleLog:
    """A text file with the tracebacks of one build's troubles; it exists only if there are any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.remove()

    def add(self, trouble: Trouble) -> None:
        """Append a trouble."""
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{trouble.key}: {trouble.reason}\n{trouble.traceback}\n")

    def remove(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
