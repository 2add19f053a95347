"""Which frames of a track make a clip."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int


def train_frames(
    rng: np.random.Generator, length: int, *, frames: int, stride: int
) -> tuple[Int[np.ndarray, " t"], Bool[np.ndarray, " t"]]:
    """Draws `frames` frames, `stride` apart, from a random start of a track of `length` frames.

    A track too short for the stride is sampled more densely; one too short for `frames` repeats its last
    frame, marked invalid.

    Returns:
      The positions in the track, and which of them are real frames of it.
    """
    span = min(stride, max(1, (length - 1) // max(1, frames - 1)))
    start = rng.integers(max(1, length - span * (frames - 1)))
    positions = start + span * np.arange(frames)
    return np.minimum(positions, length - 1), positions < length


def spread_frames(
    length: int, *, frames: int, clip: int = 0, clips: int = 1, spacing: int = 0
) -> tuple[Int[np.ndarray, " t"], Bool[np.ndarray, " t"]]:
    """Spreads `frames` frames evenly over the `clip`-th of `clips` equal parts of a track.

    Frames stand in the middle of their shares of the part, so that neither end is favoured. A part too short
    for `frames` is taken whole and its last frame repeated, marked invalid. With `spacing`, frames are at most
    so far apart, about the middle of the part: for models that look at motion.

    Returns:
      The positions in the track, and which of them are real frames of it.
    """
    start, stop = length * clip // clips, max(length * (clip + 1) // clips, length * clip // clips + 1)
    count = min(frames, stop - start)
    if spacing and stop - start > spacing * count:
        start += (stop - start - spacing * count) // 2
        stop = start + spacing * count
    shares = (np.arange(count) + 0.5) * (stop - start) / count
    positions = start + shares.astype(np.int64)
    padded = np.concatenate([positions, np.full(frames - count, positions[-1])])
    return np.minimum(padded, length - 1), np.arange(frames) < count
