"""What faces look like, and which tracks of a video show the same person: a cut ends a track, not the person."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from fakedetect_jax.faces import warp
from fakedetect_jax.faces.landmarks import LEFT_EYE, RIGHT_EYE
from fakedetect_jax.faces.networks import Mesh, region_of_mesh

_THUMBNAIL = 24
_CELLS, _CELL = 8, 8  # cells a side, pixels a cell
_ORIENTATIONS = 9
_CLIP = 0.2
DESCRIPTOR_LENGTH = 4 * _ORIENTATIONS * (_CELLS - 1) ** 2
# Cosine of two descriptors. 94 people were photographed twice, the second time with other light, size and turn of the
# head: 91 % of the pairs of one person were above it, and 13 % of the pairs of two people.
_SAME_PERSON = 0.85


def thumbnail(image: UInt8[np.ndarray, "h w 3"], mesh: Mesh) -> Float[np.ndarray, "24 24"]:
    """Return the levelled face in grey, with mean 0 and norm 1: the product of two is their correlation."""
    region = region_of_mesh(mesh.points)
    window = warp.similarity(region.centre, region.side / 1.5, region.angle, _THUMBNAIL)
    face = warp.warp_square(image, window, _THUMBNAIL, cv2.INTER_LINEAR)
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY).astype(np.float64)
    grey -= grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-6)


def descriptor(
    image: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "81 2"]
) -> Float32[np.ndarray, " d"]:
    """Return histograms of oriented gradients of the levelled face (Dalal and Triggs, 2005), with norm 1.

    Unlike a thumbnail, they change little with the light: they tell people apart across cuts.
    """
    across = landmarks[RIGHT_EYE].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    window = warp.similarity(
        (low + high) / 2, float((high - low).max()), float(np.arctan2(across[1], across[0])), _CELLS * _CELL
    )
    face = warp.warp_square(image, window, _CELLS * _CELL, cv2.INTER_LINEAR)
    cells = _cell_histograms(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY))
    blocks = np.concatenate([cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]], axis=-1)
    blocks = np.minimum(_unit(blocks), _CLIP)  # no single edge decides
    return _unit(_unit(blocks).ravel()).astype(np.float32)


def _cell_histograms(grey: UInt8[np.ndarray, "s s"]) -> Float[np.ndarray, "c c k"]:
    """Sum each cell's gradients by orientation; a gradient between two orientations counts for both."""
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order, ksize=1) for order in ((1, 0), (0, 1)))
    place = np.mod(np.arctan2(y, x) / np.pi * _ORIENTATIONS, _ORIENTATIONS)
    apart = np.abs(place[..., None] - np.arange(_ORIENTATIONS))
    shares = np.maximum(0.0, 1.0 - np.minimum(apart, _ORIENTATIONS - apart))
    strength = shares * np.hypot(x, y)[..., None]
    return strength.reshape(_CELLS, _CELL, _CELLS, _CELL, _ORIENTATIONS).sum(axis=(1, 3))


def _unit(values: Float[np.ndarray, "*s d"]) -> Float[np.ndarray, "*s d"]:
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-6)


@dataclasses.dataclass(frozen=True)
class TrackAppearance:
    """One track as `group_by_person` compares it.

    Attributes:
        index: Numbers of its frames.
        descriptor: Sum or mean of its faces' descriptors.
        importance: Sum of its box areas over time.
    """

    index: Int[np.ndarray, " n"]
    descriptor: Float[np.ndarray, " d"]
    importance: float


def group_by_person(tracks: Sequence[TrackAppearance]) -> list[int]:
    """Return the person of each track; 0 is the most important one, by the summed importance of their tracks.

    Tracks are taken in falling order of importance. Each joins the person it resembles most, if it does so enough and
    the two were never seen at once: no two tracks of a person share a frame.
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


def _likeness(tracks: Sequence[TrackAppearance], person: list[int], number: int) -> float:
    """Return the cosine of the track's descriptor and the person's, or -1 if they were seen at once."""
    track = tracks[number]
    if any(np.intersect1d(tracks[other].index, track.index).size for other in person):
        return -1.0
    mean = np.sum([tracks[other].descriptor * len(tracks[other].index) for other in person], axis=0)
    norms = float(np.linalg.norm(mean) * np.linalg.norm(track.descriptor))
    return float(mean @ track.descriptor) / max(norms, 1e-9)
