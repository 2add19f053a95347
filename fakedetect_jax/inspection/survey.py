"""Which tracks of a dataset are inspected, and their measures; tracks are read one at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tqdm import tqdm

from fakedetect_jax.data.checked_records import CheckedRecords
from fakedetect_jax.data.index import Entry, load_index
from fakedetect_jax.faces import FrameChoice
from fakedetect_jax.inspection.quality import Measure, Quality, measure
from fakedetect_jax.inspection.strip import draw_strip

_INSPECTED = FrameChoice(count=8, run=32)


class Card(NamedTuple):
    """A track as it is shown; `image` is a data URI, `first` and `last` are frame numbers of the video."""

    entry: Entry
    quality: Quality
    image: str
    first: int
    last: int


@dataclasses.dataclass(frozen=True)
class Measured:
    """A track and its measures."""

    entry: Entry
    quality: Quality


class Survey:
    """The main tracks of all splits of a built dataset, which training and evaluation use.

    Args:
        folder: Folder of the built version.
    """

    def __init__(self, folder: Path) -> None:
        splits = list(tfds.builder_from_directory(str(folder)).info.splits)
        tracks = {split: load_index(folder, split).entries for split in splits}
        self.entries = [entry for split in splits for entry in tracks[split] if entry.main]
        self._records = {split: CheckedRecords(folder, split, tracks[split]) for split in splits}

    def measure(self, *, at_most: int, seed: int) -> list[Measured]:
        """Measure every track, or a random sample of `at_most` if there are more."""
        drawn = sample(self.entries, at_most, seed)
        return [Measured(entry, measure(record)) for entry, record in self._read(drawn, "measuring")]

    def show(self, entries: Sequence[Entry]) -> dict[Entry, Card]:
        """Measure and draw tracks; a track that is named twice is read once."""
        unique = list(dict.fromkeys(entries))
        return {entry: _card(entry, record) for entry, record in self._read(unique, "drawing")}

    def _read(self, entries: Sequence[Entry], doing: str) -> Iterator[tuple[Entry, Mapping[str, Any]]]:
        for entry in tqdm(entries, desc=doing, unit="track"):
            yield entry, Track(self._records[entry.split], entry)


class Track(Mapping[str, Any]):
    """Up to 256 frames of a track: arrays over time by field name, and `frames`, their JPEG files.

    Longer tracks are represented by 8 evenly spread runs of 32 frames.
    """

    def __init__(self, records: Sequence[Mapping[str, Any]], entry: Entry) -> None:
        places = _INSPECTED.positions(entry.frames).tolist()
        self._rows = [records[entry.first + place] for place in places]

    def __getitem__(self, name: str) -> Any:
        if name == "frames":
            return [row["jpeg"] for row in self._rows]
        return np.array([row[name] for row in self._rows])

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows[0])

    def __len__(self) -> int:
        return len(self._rows[0])


def sample(entries: Sequence[Entry], count: int, seed: int) -> list[Entry]:
    """Return a random sample of `count` entries, or all if there are no more, in their order."""
    if len(entries) <= count:
        return list(entries)
    places = np.random.default_rng(seed).choice(len(entries), count, replace=False)
    return [entries[place] for place in np.sort(places)]


def worst(measured: Sequence[Measured], by: Measure, count: int) -> list[Entry]:
    """Return up to `count` tracks at the bad end of a measure, the worst first; those without a value do not count."""
    sign = 1 if by.worst_is_low else -1
    known = [track for track in measured if not np.isnan(getattr(track.quality, by.name))]
    known.sort(key=lambda track: sign * getattr(track.quality, by.name))
    return [track.entry for track in known[:count]]


def _card(entry: Entry, record: Mapping[str, Any]) -> Card:
    index = record["frame_index"]
    return Card(entry, measure(record), draw_strip(record), int(index[0]), int(index[-1]))
