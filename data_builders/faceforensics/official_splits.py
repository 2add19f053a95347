"""The official split files of FaceForensics++: pairs of videos that were forged into each other."""

from __future__ import annotations

import re
import reprlib
from pathlib import Path

from fakedetect_jax.data_builders.engine.source_files import SourceError, parse_json, read_bytes
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION

SPLIT_FILES = {TRAIN: "train.json", VALIDATION: "val.json", TEST: "test.json"}
# The publisher's repository keeps them in dataset/splits; users copy them beside the videos or to the top folder.
SPLIT_FOLDERS = ("splits", "dataset/splits", ".")
SPLIT_ORIGIN = "https://github.com/ondyari/FaceForensics, folder dataset/splits"

Pair = tuple[str, str]


def read_splits(source: Path) -> dict[str, list[Pair]]:
    """Return the official pairs of each split.

    Raises:
        SourceError: A file is missing or not as published, or a video is in two pairs.
    """
    splits: dict[str, list[Pair]] = {}
    seen: dict[str, Path] = {}
    for split, name in SPLIT_FILES.items():
        path = find_split_file(source, name)
        splits[split] = parse_pairs(read_bytes(path), path)
        for video in (video for pair in splits[split] for video in pair):
            if video in seen:
                raise SourceError(
                    f"{path}: video {video!r} is listed twice, first in {seen[video]}; every video belongs to one "
                    f"pair of one split; take the files from {SPLIT_ORIGIN}"
                )
            seen[video] = path
    return splits


def find_split_file(source: Path, name: str) -> Path:
    """Return the path of a split file.

    Raises:
        SourceError: It is in none of the usual places.
    """
    for folder in SPLIT_FOLDERS:
        if (source / folder / name).is_file():
            return source / folder / name
    raise SourceError(
        f"{source / SPLIT_FOLDERS[0] / name}: the official split file is missing, also in dataset/splits and in "
        f"{source} itself; the download script does not fetch it, take it from {SPLIT_ORIGIN}"
    )


def parse_pairs(content: bytes, path: Path) -> list[Pair]:
    """Parse the content of a split file, a JSON list of pairs of three-digit strings; `path` is for messages.

    Raises:
        SourceError: An entry is not as published; the message names the file and the entry.
    """
    entries = parse_json(content, path, remedy=f"take it from {SPLIT_ORIGIN}")
    if not isinstance(entries, list):
        raise SourceError(
            f"{path}: holds a {type(entries).__name__}, not a list; take it from {SPLIT_ORIGIN}"
        )
    return [_pair(entry, position, path) for position, entry in enumerate(entries)]


def _pair(entry: object, position: int, path: Path) -> Pair:
    match entry:
        case [str(first), str(second)] if all(re.fullmatch("[0-9]{3}", video) for video in (first, second)):
            return first, second
    raise SourceError(
        f"{path}: entry {position} is {reprlib.repr(entry)}, not a pair of three-digit strings such as ['012', '026']; "
        f"take the file from {SPLIT_ORIGIN}"
    )
