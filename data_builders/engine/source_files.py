"""The files of a download other than videos: tables and JSON lists, whose errors name the file and the remedy."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fakedetect_jax.errors import FakedetectError

LONGEST_NAME = 255  # bytes, in every common file system
_QUOTES = "put a value that holds a comma in quotes, close them on the same line, and double any quotes in the value"


class SourceError(FakedetectError):
    """A download that lacks what the builder needs; the message names the thing, the place and the remedy."""


def require(path: Path, *, what: str, remedy: str) -> Path:
    """Return the path if it exists.

    Raises:
        SourceError: It does not exist.
    """
    if not path.exists():
        raise SourceError(f"{path}: {what} is missing; {remedy}")
    return path


def read_json(path: Path, *, remedy: str) -> Any:
    """Return the content of a JSON file, with or without a byte order mark.

    Raises:
        SourceError: The file is not JSON.
    """
    return parse_json(path.read_bytes(), path, remedy=remedy)


def parse_json(content: bytes, path: Path, *, remedy: str) -> Any:
    """Parse the content of a JSON file; `path` is for messages.

    Raises:
        SourceError: The content is not JSON.
    """
    try:
        return json.loads(content)
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
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True, skipinitialspace=True)
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


def _read_text(path: Path) -> str:
    data = path.read_bytes()
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


def _line(data: bytes, position: int) -> int:
    return len(data[:position].splitlines() or [b""]) + data[:position].endswith((b"\n", b"\r"))


def fault_of_name(name: str) -> str:
    """Say why `name` cannot be the name of a file, or return ''; a name with a folder in it cannot."""
    if name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
        return "is not the name of a file"
    try:
        size = len(os.fsencode(name))
        name.encode()
    except UnicodeEncodeError:
        return "is not the name of a file: it holds half a character"
    if size > LONGEST_NAME:
        return f"is not the name of a file: it has {size} bytes, more than {LONGEST_NAME}"
    return ""
