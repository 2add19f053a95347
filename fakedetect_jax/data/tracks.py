"""A selection of face tracks, and the decoding of clips from them."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from fakedetect_jax.data.index import Entry, dataset_folder, load_index, open_split
from fakedetect_jax.errors import FakedetectError


@dataclasses.dataclass(frozen=True)
class Tracks:
    """The main tracks of a part of a dataset: `entries[i]` tells what `clip(i, ...)` decodes."""

    entries: list[Entry]
    records: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.entries)

    def clip(self, row: int, positions: np.ndarray, valid: np.ndarray) -> dict[str, np.ndarray]:
        """Decodes the frames of a track that a clip needs, and only those.

        Args:
          row: which of `entries`.
          positions: places in the track, int [T]; repeated places are decoded once.
          valid: which of them count, bool [T].

        Returns:
          `frames` uint8 [T, S, S, 3], `landmarks` float32 [T, 81, 2] in crop pixels, `timestamps` float32 [T] in
          seconds since the start of the video, `valid` bool [T], `label` int32, `weight` float32 (1), `identity`
          int32, equal for tracks of one person in one dataset, and `method` int32, `number_of` the method's name.
        """
        entry = self.entries[row]
        record = self.records[entry.position]
        return {
            "frames": _decode(record["frames"], positions.tolist()),
            "landmarks": record["landmarks"][positions],
            "timestamps": record["timestamp"][positions],
            "valid": valid,
            "label": np.asarray(entry.label, np.int32),
            "weight": np.asarray(1.0, np.float32),
            "identity": np.asarray(number_of(entry.dataset, entry.identity or entry.video_id), np.int32),
            "method": np.asarray(number_of(entry.method), np.int32),
        }


def number_of(*names: str) -> int:
    """31 bits of a name. Of 10,000 people two may share a number, and are then not blended into each other."""
    return zlib.crc32("/".join(names).encode()) >> 1


def _decode(files: Sequence[bytes], places: list[int]) -> np.ndarray:
    """The frames at `places`, each straight into its place: copies would cost a tenth of the decoding."""
    first = simplejpeg.decode_jpeg(files[places[0]])
    frames = np.empty((len(places), *first.shape), np.uint8)
    frames[0] = first
    for row in range(1, len(places)):
        if places[row] == places[row - 1]:
            frames[row] = frames[row - 1]
        else:
            simplejpeg.decode_jpeg(files[places[row]], buffer=frames[row])
    return frames


def select(
    data_dir: str | Path, dataset: str, split: str, methods: Sequence[str] = (), limit: int = 0
) -> Tracks:
    """Selects the main tracks of a split, of the named methods or of all, and the first `limit` or all.

    Raises:
      DatasetNotBuilt: the dataset is not in `data_dir`.
      FakedetectError: no such split or method, or nothing is left.
    """
    folder = dataset_folder(data_dir, dataset)
    entries = [entry for entry in load_index(folder, split) if entry.main]
    known = sorted({entry.method for entry in entries})
    unknown = sorted(set(methods) - set(known))
    if unknown:
        raise FakedetectError(f"{dataset}, split {split!r}: no method {unknown}; there are {known}")
    if methods:
        entries = [entry for entry in entries if entry.method in methods]
    if limit:
        entries = entries[:limit]
    if not entries:
        raise FakedetectError(f"{dataset}, split {split!r}: no face track at all in {folder}")
    return Tracks(entries, open_split(folder, split))


def concatenate(parts: Sequence[Tracks]) -> Tracks:
    """Joins selections from several datasets into one."""
    if len(parts) == 1:
        return parts[0]
    entries = [
        dataclasses.replace(entry, position=number * _PART + entry.position)
        for number, part in enumerate(parts)
        for entry in part.entries
    ]
    return Tracks(entries, _Joined([part.records for part in parts]))


_PART = 1 << 40


class _Joined(Sequence):
    """Several sequences of records behind one numbering, in which part n starts at n * 2^40."""

    def __init__(self, parts: list[Sequence]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, position: Any) -> Any:
        part, place = divmod(position, _PART)
        return self._parts[part][place]
