"""videos.csv: what its user says of each video."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from data_builders.listing import TEST, TRAIN, VALIDATION, SourceError
from fakedetect_jax.data import schema

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
    lines: dict[str, int] = {}
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        _check_columns(table, list(reader.fieldnames or ()))
        for fields in reader:
            place = f"{table}, line {reader.line_num}"
            row = _parse_row(fields, place)
            if row.path in lines:
                raise SourceError(f"{place}: {row.path!r} is also in line {lines[row.path]}; keep one")
            lines[row.path] = reader.line_num
            rows.append(row)
    if not rows:
        raise SourceError(
            f"{table}: it lists no video; add a line a video, or remove the file to use real/ and fake/"
        )
    return rows


def parse_path(text: str, place: str) -> str:
    """Returns a relative path in its one form ('./a//b.mp4' is 'a/b.mp4').

    Raises:
      SourceError: empty, absolute, or with a '..'.
    """
    path = PurePosixPath(text)
    windows = PureWindowsPath(text)
    if not path.name or windows.anchor or ".." in windows.parts:
        raise SourceError(
            f"{place}: path {text!r}; it must be relative to the folder of {TABLE} and stay inside it"
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
    unknown = [column for column in columns if column not in COLUMNS]
    missing = [column for column in REQUIRED if column not in columns]
    repeated = len(set(columns)) < len(columns)
    if unknown or missing or repeated:
        raise SourceError(
            f"{table}: columns {columns}; unknown: {unknown}, missing: {missing}; the first line must name "
            f"{', '.join(REQUIRED)} and may name {', '.join(COLUMNS[len(REQUIRED) :])}, each once"
        )


def _parse_row(fields: dict[Any, Any], place: str) -> Row:
    if None in fields:
        raise SourceError(f"{place}: more fields than columns; quote the values that hold a comma")
    values = {name: (fields.get(name) or "").strip() for name in COLUMNS}
    split = values["split"] or TEST
    if split not in (TRAIN, VALIDATION, TEST):
        raise SourceError(f"{place}: split {split!r}; it must be {TRAIN}, {VALIDATION} or {TEST}")
    return Row(
        path=parse_path(values["path"], place),
        method=parse_method(values["label"], values["method"], place),
        identity=values["identity"],
        split=split,
    )
