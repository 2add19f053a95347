"""A validation split for Celeb-DF, which has none: groups of people who were never swapped with anybody else."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np


def linked_groups(swaps: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return each person's group, named by its first member; swaps link people directly or through others."""
    neighbours: dict[str, set[str]] = collections.defaultdict(set)
    for target, donor in swaps:
        neighbours[target].add(donor)
        neighbours[donor].add(target)
    groups: dict[str, str] = {}
    for first in sorted(neighbours):
        waiting = [] if first in groups else [first]
        while waiting:
            person = waiting.pop()
            if person not in groups:
                groups[person] = first
                waiting += neighbours[person]
    return groups


def draw_people(swaps: list[tuple[str, str]], *, share: float, seed: int) -> set[str]:
    """Draw whole groups of people with at most `share` of the swaps, or nobody if all people are one group.

    If people were drawn one by one, nearly every swap would join two splits. The groups differ much in size, so a
    group that is too large is passed over; if all are too large, the smallest is taken.
    """
    groups = linked_groups(swaps)
    sizes = collections.Counter(groups[target] for target, _ in swaps)
    names = sorted(sizes)
    if len(names) < 2:
        return set()
    drawn: set[str] = set()
    for index in np.random.default_rng(seed).permutation(len(names)):
        if sum(sizes[name] for name in drawn | {names[index]}) <= share * len(swaps):
            drawn.add(names[index])
    drawn = drawn or {min(names, key=lambda name: (sizes[name], name))}
    return {person for person, group in groups.items() if group in drawn}
