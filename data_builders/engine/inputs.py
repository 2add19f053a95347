"""What a built dataset was made from, so that a build of something else never passes for it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fakedetect_jax.data.index import REPORT
from fakedetect_jax.data.records import DamagedDataset
from fakedetect_jax.data_builders.engine.file_names import as_text, listed
from fakedetect_jax.data_builders.engine.source_files import file_state
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.errors import FakedetectError


class OtherSource(FakedetectError):
    """A dataset that was built from another download than the one that is named."""


class Input(NamedTuple):
    """The videos of a build.

    Attributes:
        source: The folder of the download as text, '' if the dataset needs none.
        states: By the key of each video; see `with_states`.
    """

    source: str
    states: dict[str, str]


class Change(NamedTuple):
    """How the videos differ from those of an earlier build, by their keys."""

    added: list[str]
    changed: list[str]
    gone: list[str]

    def describe(self) -> str:
        """Return the counts, and the first names."""
        kinds = zip(("added", "changed", "gone"), self, strict=True)
        return ", ".join(
            f"{len(keys)} {kind}" + (f" ({listed(keys)})" if keys else "") for kind, keys in kinds
        )


def with_states(items: Iterable[VideoItem]) -> list[VideoItem]:
    """Return the items with their states.

    A state is a digest of what the publisher says of a video, and of sizes and times of its files. It is taken once for
    a whole build: if a file changes meanwhile, the next build finds another state.

    Raises:
        OSError: The disk or the network fails.
    """
    return [dataclasses.replace(item, state=_state(item)) for item in items]


def read_input(report: dict[str, Any], folder: Path) -> Input:
    """Return what a built dataset was made from, given its report.

    Raises:
        DamagedDataset: The report lacks it.
    """
    try:
        states = {f"{video['method']}/{video['video_id']}": video["state"] for video in report["videos"]}
        return Input(report["source"], states)
    except (TypeError, KeyError) as error:
        raise DamagedDataset(
            f"{folder / REPORT}: does not say what the dataset was built from; delete {folder} and build again"
        ) from error


def read_built(folder: Path) -> dict[str, Any] | None:
    """Return the report of a built dataset, or None if there is none.

    Raises:
        DamagedDataset: The report cannot be read, or a folder has none.
    """
    path = folder / REPORT
    if not folder.exists():
        return None
    if not path.exists():
        raise DamagedDataset(
            f"{folder} has no {REPORT}, so it is no whole dataset; delete it and build again"
        )
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedDataset(f"{path} cannot be read ({error}); delete {folder} and build again") from error


def compare(built: Input, now: Input, folder: Path) -> Change:
    """Return how the videos have changed since a dataset was built in `folder`.

    The same videos at another place are the same input.

    Raises:
        OtherSource: They have changed, and were at another place.
    """
    change = Change(
        [key for key in now.states if key not in built.states],
        [key for key, state in now.states.items() if built.states.get(key, state) != state],
        [key for key in built.states if key not in now.states],
    )
    if any(change) and built.source != now.source:
        raise OtherSource(
            f"{as_text(folder)} was built from {built.source}, not from {now.source}; give another --out, or delete "
            "that folder"
        )
    return change


def _state(item: VideoItem) -> str:
    about = [item.split, item.identity, item.source_identity, item.compression]
    about += [file_state(one) if isinstance(one, Path) else str(one) for one in (item.source, item.mask)]
    return hashlib.sha256("\n".join(about).encode("utf-8", "surrogateescape")).hexdigest()[:16]
