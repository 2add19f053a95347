"""Records that are checked to be those that their index names: labels are taken from the index, frames from records."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fakedetect_jax.data import schema
from fakedetect_jax.data.index import Entry, index_path, open_split
from fakedetect_jax.data.records import DamagedDataset, Record, Records

_NUMBERS = ("label", "main", "track", "person")


class CheckedRecords(Sequence):
    """The records of a split, each checked against the entry of its track when it is read.

    Args:
        folder: The folder of the built version.
        split: The name of the split.
        entries: All tracks of the split, in stored order.

    Raises:
        DamagedDataset: When a record is read that cannot be, or that is not of the track that the index names.
    """

    def __init__(self, folder: Path, split: str, entries: Sequence[Entry]) -> None:
        self._records: Records = open_split(folder, split)
        self._path = index_path(folder, split)
        self._entries = entries
        self._firsts = [entry.first for entry in entries]

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, position: Any) -> Any:
        record: Record = self._records[position]
        entry = self._entries[bisect.bisect_right(self._firsts, position) - 1]
        if not _is_of(record, entry, position - entry.first):
            found, named = _names(record), f"{entry.method}/{entry.video_id}, track {entry.track}"
            raise DamagedDataset(
                f"{self._path} is not the index of the records beside it: record {position} is of {found}, and not of"
                f" {named}; remove that file, and it is made anew from the records"
            )
        return record


def _is_of(record: Record, entry: Entry, offset: int) -> bool:
    return (
        record.holds("offset", offset)
        and all(record.holds(name, getattr(entry, name)) for name in _NUMBERS)
        and all(record.holds(name, getattr(entry, name).encode()) for name in schema.TEXT_FIELDS)
    )


def _names(record: Record) -> str:
    method, video = (record[name].decode(errors="replace") for name in ("method", "video_id"))
    return f"{method}/{video}, track {int(record['track'])}"
