"""videos.csv: what the user says about each video."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.engine.file_names import LONGEST_NAME, LONGEST_PATH
from fakedetect_jax.data_builders.engine.source_files import SourceError, brief, read_rows
from fakedetect_jax.data_builders.engine.splits import SPLITS, TEST, TRAIN, VALIDATION
from fakedetect_jax.data_builders.engine.video_item import FAKE

TABLE = "videos.csv"
COLUMNS = ("path", "label", "method", "identity", "split")
REQUIRED = ("path", "label")
_RELATIVE = f"it must be relative to the folder of {TABLE} and stay inside it"

_LABELS = {"0": REAL, REAL: REAL, "1": FAKE, FAKE: FAKE}


class Row(NamedTuple):
    """One video; `path` is relative to the folder of the table, with '/' between folders."""

    path: str
    method: str
    identity: str
    split: str


def read_table(table: Path) -> list[Row]:
    """Return the rows in their order.

    Raises:
        SourceError: The message names the line, the value and what is allowed there.
    """
    rows: list[Row] = []
    places: dict[str, str] = {}
    lines = read_rows(table)
    place, header = next(lines, (f"{table}, line 1", []))
    columns = [name.strip().lower() for name in header]
    _check_columns(place, columns)
    for place, values in lines:
        row = _parse_row(columns, values, place)
        if row.path in places:
            raise SourceError(f"{place}: {brief(row.path)} is also in {places[row.path]}; keep one")
        places[row.path] = place.removeprefix(f"{table}, ")
        rows.append(row)
    if not rows:
        raise SourceError(
            f"{table}: it lists no video; add one line per video, or remove the file to use real/ and fake/"
        )
    return rows


def parse_path(text: str, place: str) -> str:
    """Return a relative path in its normal form ('./a//b.mp4' becomes 'a/b.mp4').

    Raises:
        SourceError: The path is empty, absolute or too long, or it holds '..' or a backslash.
    """
    if "\\" in text:
        raise SourceError(f"{place}: path {brief(text)} holds a backslash; write '/' between folders")
    path = PurePosixPath(text)
    if path.parts[:1] == ("~",):
        raise SourceError(
            f"{place}: path {brief(text)} begins with '~', which is not expanded here; {_RELATIVE}"
        )
    windows = PureWindowsPath(text)
    if not path.name or windows.anchor or ".." in windows.parts:
        raise SourceError(f"{place}: path {brief(text)}; {_RELATIVE}")
    if len(text.encode()) > LONGEST_PATH:
        raise SourceError(f"{place}: path {brief(text)}: no path may have more than {LONGEST_PATH} bytes")
    longest = max(path.parts, key=lambda part: len(part.encode()))
    if len(longest.encode()) > LONGEST_NAME:
        raise SourceError(
            f"{place}: path {brief(text)}: no file or folder name may have more than {LONGEST_NAME} bytes"
        )
    return str(path)


def parse_method(label: str, method: str, place: str) -> str:
    """Return 'real' or the forgery method, given a label (0, 1, real, fake) and a method that may be empty.

    Raises:
        SourceError: The label is another one, or contradicts the method.
    """
    kind = _LABELS.get(label.lower())
    if kind is None:
        raise SourceError(f"{place}: label {brief(label)}; it must be 0 or real, 1 or fake")
    named = method or kind
    if (named == REAL) != (kind == REAL):
        raise SourceError(
            f"{place}: label {brief(label)} contradicts method {brief(method)}; leave the method of real videos empty"
        )
    return named


def _check_columns(place: str, columns: list[str]) -> None:
    for separator in (";", "\t"):
        if len(columns) == 1 and separator in columns[0]:
            raise SourceError(
                f"{place}: {separator!r} separates the values; save it with commas between them"
            )
    unknown = [column for column in columns if column not in COLUMNS]
    missing = [column for column in REQUIRED if column not in columns]
    repeated = len(set(columns)) < len(columns)
    if unknown or missing or repeated:
        raise SourceError(
            f"{place}: columns {brief(columns)}; unknown: {brief(unknown)}, missing: {missing}; the first line must "
            f"name {', '.join(REQUIRED)} and may name {', '.join(COLUMNS[len(REQUIRED) :])}, each once"
        )


def _parse_row(columns: list[str], fields: list[str], place: str) -> Row:
    if len(fields) > len(columns):
        raise SourceError(f"{place}: more fields than columns; quote the values that hold a comma")
    given = dict(zip(columns, fields, strict=False))
    values = {name: given.get(name, "").strip() for name in COLUMNS}
    split = values["split"] or TEST
    if split not in SPLITS:
        raise SourceError(f"{place}: split {brief(split)}; it must be {TRAIN}, {VALIDATION} or {TEST}")
    return Row(
        path=parse_path(values["path"], place),
        method=parse_method(values["label"], values["method"], place),
        identity=values["identity"],
        split=split,
    )
