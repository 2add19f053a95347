"""The official split lists of DeeperForensics-1.0, which name only fakes and keep the actors apart."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from fakedetect_jax.data_builders.engine.source_files import SourceError, brief, read_text, require
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION

SPLIT_FILES = {TRAIN: "train.txt", VALIDATION: "val.txt", TEST: "test.txt"}
ORIGIN = "the download's lists/splits, see https://github.com/EndlessSora/DeeperForensics-1.0"

_FAKE = re.compile("([0-9]{3})_([MW][0-9]{3})")


def parse_fake(stem: str) -> tuple[str, str] | None:
    """Return the FaceForensics++ video and the actor of a name such as '000_M101', or None for any other name."""
    match = _FAKE.fullmatch(stem)
    return (match[1], match[2]) if match else None


def read_splits(source: Path) -> dict[str, list[str]]:
    """Return the names of the fakes of each split, without .mp4; every variant has the same names.

    Raises:
        SourceError: A list is missing, a line is not as published, or a video or an actor is in two lists.
    """
    splits: dict[str, list[str]] = {}
    homes: dict[str, str] = {}
    for split, name in SPLIT_FILES.items():
        path = source / "lists" / "splits" / name
        require(path, what="the official split list", remedy=f"take it from {ORIGIN}")
        splits[split] = parse_list(read_text(path), path)
        for stem in splits[split]:
            for part in parse_fake(stem) or ():
                if homes.setdefault(part, name) != name:
                    raise SourceError(
                        f"{path}: {stem!r} puts {part!r} into a second list, as it is also in {homes[part]}; the "
                        f"published lists share neither videos nor actors; take them from {ORIGIN}"
                    )
    return splits


def parse_list(content: str, path: Path) -> list[str]:
    """Parse a list of file names, one per line, with or without folder and .mp4; `path` is for messages.

    Raises:
        SourceError: A line is not the name of a fake, or repeats one; the message names the line.
    """
    stems: dict[str, None] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        stem = PurePosixPath(line.strip()).name.removesuffix(".mp4")
        if parse_fake(stem) is None or stem in stems:
            problem = "is listed twice" if stem in stems else "is not the name of a fake such as 000_M101.mp4"
            raise SourceError(
                f"{path}, line {number}: {brief(line.strip())} {problem}; take the list from {ORIGIN}"
            )
        stems[stem] = None
    return list(stems)
