"""The files of a download other than videos: tables and JSON lists, whose errors name the file and the remedy."""

from __future__ import annotations

import codecs
import collections
import csv
import errno
import hashlib
import io
import json
import os
import reprlib
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fakedetect_jax import files
from fakedetect_jax.data_builders.engine.file_names import as_text, is_clutter
from fakedetect_jax.errors import FakedetectError

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES}
_QUOTES = "put a value that holds a comma in quotes, close them on the same line, and double any quotes in the value"


_BRIEF = reprlib.Repr()
_BRIEF.maxstring, _BRIEF.maxlist = 120, 8


class SourceError(FakedetectError):
    """A download that lacks what the builder needs; the message names the thing, the place and the remedy."""


def file_state(path: Path) -> str:
    """Return what tells whether a video, a file or a folder of frames, has changed: sizes and times.

    It is '' if none is there.

    Raises:
        OSError: The disk or the network fails.
    """
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            return f"{status.st_size} {status.st_mtime_ns}"
        with os.scandir(path) as entries:
            frames = sorted(_frame_state(entry) for entry in entries if not is_clutter(entry.name))
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return ""
    return hashlib.sha256("\n".join(frames).encode("utf-8", "surrogateescape")).hexdigest()


def _frame_state(entry: os.DirEntry[str]) -> str:
    status = entry.stat(follow_symlinks=entry.is_file())
    return f"{entry.name} {status.st_size} {status.st_mtime_ns}"


def require(path: Path, *, what: str, remedy: str) -> Path:
    """Return the path if it exists.

    Raises:
        SourceError: It does not exist.
    """
    if not path.exists():
        raise SourceError(f"{path}: {what} is missing; {remedy}")
    return path


def read_bytes(path: Path) -> bytes:
    """Return the content of a file that is there.

    Raises:
        SourceError: It is a folder, a special file, or a Git LFS pointer.
    """
    if not path.is_file():
        raise SourceError(f"{as_text(path)}: is a folder or a special file, not a file; fetch it again")
    if files.is_lfs_pointer(path):
        raise SourceError(files.explain_lfs_pointer(as_text(path)))
    return path.read_bytes()


def read_json(path: Path, *, remedy: str) -> Any:
    """Return the content of a JSON file, with or without a byte order mark.

    Raises:
        SourceError: The file is not JSON.
    """
    return parse_json(read_bytes(path), path, remedy=remedy)


def parse_json(content: bytes, path: Path, *, remedy: str) -> Any:
    """Parse the content of a JSON file; `path` is for messages.

    Raises:
        SourceError: The content is not JSON.
    """
    try:
        return json.loads(content, object_pairs_hook=_once_each)
    except RecursionError as error:
        raise SourceError(f"{path}: not a JSON file of videos: it is nested too deeply; {remedy}") from error
    except ValueError as error:
        raise SourceError(f"{path}: not a JSON file ({error}); {remedy}") from error


def read_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the place ('<path>, line 2') and the values of every non-empty line of a UTF-8 CSV, the header first.

    Raises:
        SourceError: Another encoding, a NUL byte, a quote that does not close on its line, or a value that is too
            long.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True, skipinitialspace=True)
    while True:
        place = f"{path}, line {reader.line_num + 1}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise SourceError(f"{place}: the quotes are wrong ({error}); {_QUOTES}") from error
        if row is None:
            return
        if any("\n" in value or "\r" in value for value in row):
            raise SourceError(f"{place}: the quotes are wrong: a value continues on the next line; {_QUOTES}")
        if row:
            yield place, row


def read_text(path: Path) -> str:
    """Return the text of a table or list in UTF-8, with or without a byte order mark.

    Raises:
        SourceError: Another encoding or a NUL byte; the message has the line.
    """
    data = read_bytes(path)
    remedy = "save it as UTF-8"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SourceError(f"{path}: the encoding is UTF-16; {remedy}")
    if (at := data.find(0)) >= 0:
        raise SourceError(
            f"{path}, line {_line(data, at)}: a NUL byte, as in UTF-16 or a damaged file; {remedy}"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{path}, line {_line(error.object, error.start)}"
        raise SourceError(
            f"{where}: byte {error.object[error.start]:#04x} is not UTF-8 but another encoding, such as "
            f"Windows-1252; {remedy}"
        ) from error


def brief(value: object) -> str:
    """Return a text or list of a file as a message shows it, on one line and cut before it fills the screen."""
    return _BRIEF.repr(value)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of a JSON file, in which Python would take the last of several values for one name."""
    given = dict(pairs)
    if len(given) < len(pairs):
        counts = collections.Counter(name for name, _ in pairs)
        name = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"{name[:80]!a} is there twice")
    return given


def _line(data: bytes, position: int) -> int:
    return len(data[:position].splitlines() or [b""]) + data[:position].endswith((b"\n", b"\r"))
