"""Which tracks of a video show the same person: a cut ends a track, not the person."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

# Cosine of two looks. Of 94 people photographed twice, the second time with other light, size and turn of the head,
# 91 % of the pairs of one person were above it, and 13 % of the pairs of two people.
_SAME_PERSON = 0.85


@dataclasses.dataclass(frozen=True)
class Seen:
    """One track: its frames' numbers, its mean look, and its importance (sum of box areas over time)."""

    index: Int[np.ndarray, " n"]
    look: Float[np.ndarray, " d"]
    importance: float


def group(tracks: Sequence[Seen]) -> list[int]:
    """Returns each track's person; 0 is the most important one, by the sum of the importance of their tracks.

    Tracks are taken in falling order of importance. Each goes to the person that it looks most like, if it does so
    enough and nobody can be seen to be in two places at once: no two tracks of a person share a frame.
    """
    people: list[list[int]] = []
    for number in sorted(range(len(tracks)), key=lambda number: -tracks[number].importance):
        likeness = [_likeness(tracks, person, number) for person in people]
        best = int(np.argmax(likeness)) if likeness else -1
        if likeness and likeness[best] >= _SAME_PERSON:
            people[best].append(number)
        else:
            people.append([number])
    people.sort(key=lambda person: -sum(tracks[number].importance for number in person))
    out = [0] * len(tracks)
    for person, members in enumerate(people):
        for number in members:
            out[number] = person
    return out


def _likeness(tracks: Sequence[Seen], person: list[int], number: int) -> float:
    """Cosine of the track's look and the person's; -1 if they were seen at once."""
    if any(np.intersect1d(tracks[other].index, tracks[number].index).size for other in person):
        return -1.0
    mean = np.sum([tracks[other].look * len(tracks[other].index) for other in person], axis=0)
    norms = float(np.linalg.norm(mean) * np.linalg.norm(tracks[number].look))
    return float(mean @ tracks[number].look) / max(norms, 1e-9)
