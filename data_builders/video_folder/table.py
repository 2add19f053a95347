"""videos.csv: what its user says of each video."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from fakedetect_jax.data import schema
from fakedetect_jax.data_builders.engine.source_files import LONGEST_NAME, SourceError, read_rows
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION

TABLE = "videos.csv"
COLUMNS = ("path", "label", "method", "identity", "split")
REQUIRED = ("path", "label")
FAKE = "fake"

_LABELS = {"0": schema.REAL, schema.REAL: schema.REAL, "1": FAKE, FAKE: FAKE}


class Row(NamedTuple):
    """One video; `path` is relative to the folder of the table, with '/'."""

    path: str
    method: str
    identity: str
    split: str


def read_table(table: Path) -> list[Row]:
    """Returns the rows in their order.

    Raises:
      SourceError: names the line, the value and what may stand there.
    """
    rows: list[Row] = []
    places: dict[str, str] = {}
    lines = read_rows(table)
    _, columns = next(lines, ("", []))
    _check_columns(table, columns)
    for place, values in lines:
        row = _parse_row(columns, values, place)
        if row.path in places:
            raise SourceError(f"{place}: {row.path!r} is also in {places[row.path]}; keep one")
        places[row.path] = place.removeprefix(f"{table}, ")
        rows.append(row)
    if not rows:
        raise SourceError(
            f"{table}: it lists no video; add a line a video, or remove the file to use real/ and fake/"
        )
    return rows


def parse_path(text: str, place: str) -> str:
    """Returns a relative path in its one form ('./a//b.mp4' is 'a/b.mp4').

    Raises:
      SourceError: empty, absolute, with a '..' or a backslash, or too long.
    """
    if "\\" in text:
        raise SourceError(f"{place}: path {text!r} holds a backslash; write '/' between folders")
    path = PurePosixPath(text)
    windows = PureWindowsPath(text)
    if not path.name or windows.anchor or ".." in windows.parts:
        raise SourceError(
            f"{place}: path {text!r}; it must be relative to the folder of {TABLE} and stay inside it"
        )
    longest = max(path.parts, key=lambda part: len(part.encode()))
    if len(longest.encode()) > LONGEST_NAME:
        raise SourceError(
            f"{place}: path {text[:80]!r}...: no name in it can have more than {LONGEST_NAME} bytes"
        )
    return str(path)


def parse_method(label: str, method: str, place: str) -> str:
    """Returns 'real' or the forgery method of a label (0, 1, real, fake) and a method that may be empty.

    Raises:
      SourceError: another label, or one that contradicts the method.
    """
    kind = _LABELS.get(label.lower())
    if kind is None:
        raise SourceError(f"{place}: label {label!r}; it must be 0 or real, 1 or fake")
    named = method or kind
    if (named == schema.REAL) != (kind == schema.REAL):
        raise SourceError(
            f"{place}: label {label!r} contradicts method {method!r}; leave the method of real videos empty"
        )
    return named


def _check_columns(table: Path, columns: list[str]) -> None:
    for separator in (";", "\t"):
        if len(columns) == 1 and separator in columns[0]:
            raise SourceError(
                f"{table}: values are separated by {separator!r}; save it with commas between them"
            )
    unknown = [column for column in columns if column not in COLUMNS]
    missing = [column for column in REQUIRED if column not in columns]
    repeated = len(set(columns)) < len(columns)
    if unknown or missing or repeated:
        raise SourceError(
            f"{table}: columns {columns}; unknown: {unknown}, missing: {missing}; the first line must name "
            f"{', '.join(REQUIRED)} and may name {', '.join(COLUMNS[len(REQUIRED) :])}, each once"
        )


def _parse_row(columns: list[str], fields: list[str], place: str) -> Row:
    if len(fields) > len(columns):
        raise SourceError(f"{place}: more fields than columns; quote the values that hold a comma")
    given = dict(zip(columns, fields, strict=False))
    values = {name: given.get(name, "").strip() for name in COLUMNS}
    split = values["split"] or TEST
    if split not in (TRAIN, VALIDATION, TEST):
        raise SourceError(f"{place}: split {split!r}; it must be {TRAIN}, {VALIDATION} or {TEST}")
    return Row(
        path=parse_path(values["path"], place),
        method=parse_method(values["label"], values["method"], place),
        identity=values["identity"],
        split=split,
    )
