"""The splits: their names, a validation split where the publisher has none, and people that they must not share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from fakedetect_jax.data.index import Entry
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.errors import FakedetectError

SPLITS = TRAIN, VALIDATION, TEST = "train", "validation", "test"


def cut_validation(groups: list[str], *, share: float, seed: int) -> set[str]:
    """Draw the groups (people, source videos) of a validation split where the publisher has none.

    The same groups give the same draw in any order. At least one group is drawn and at least one is left.

    Raises:
        SourceError: There are fewer than two groups.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise SourceError(f"a validation split needs at least 2 groups to cut between; found {names}")
    count = min(max(1, round(share * len(names))), len(names) - 1)
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[index] for index in order[:count]}


def check_disjoint(
    entries: Sequence[VideoItem | Entry], *, dataset: str, shared: Collection[tuple[str, str]] = ()
) -> None:
    """Check that no identity, as the target or the source of a face, is in two splits.

    Args:
        entries: The videos, or the tracks of a built dataset.
        dataset: The dataset's name, for the message.
        shared: Pairs of splits that may share people, because the publisher's own splits do.

    Raises:
        FakedetectError: Two splits share an identity; the message names it and two of its videos.
    """
    allowed = {frozenset(pair) for pair in shared}
    first: dict[str, dict[str, VideoItem | Entry]] = {}
    for entry in entries:
        for identity in {entry.identity, entry.source_identity} - {""}:
            known = first.setdefault(identity, {})
            known.setdefault(entry.split, entry)
            for split, other in known.items():
                if split != entry.split and frozenset((split, entry.split)) not in allowed:
                    raise FakedetectError(
                        f"{dataset}: identity {identity!r} is in split {split!r} "
                        f"({other.method}/{other.video_id}) and in split {entry.split!r} "
                        f"({entry.method}/{entry.video_id}); splits must not share people"
                    )
