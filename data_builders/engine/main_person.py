"""Which person of a video its label is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Float64

from fakedetect_jax.faces import FaceSequence, VideoError
from fakedetect_jax.faces.video import open_video

BY_MASK, BY_SIZE, MASK_UNREADABLE = "mask", "size", "unreadable mask"
"""How the main person is known: the mask marks it, or it is the largest for want of a mask, or of a readable one."""

_FRAMES = 32
_MARKED = 16  # of 255: masks are videos too, and compression leaves noise in their black


def main_person(
    tracks: Sequence[FaceSequence], mask: Path | None, progress: Callable[[], None] = lambda: None
) -> tuple[int, str]:
    """Return the number of the manipulated person and how it is known: BY_MASK, BY_SIZE or MASK_UNREADABLE.

    Without a mask that marks a face, it is person 0, the largest and longest seen.

    Args:
        tracks: At least one track.
        mask: A video of the manipulated region, white on black, with the frames of the video itself.
        progress: Is called with every frame of the mask.

    Raises:
        OSError: The disk or the network fails while the mask is read.
    """
    if mask is None:
        return 0, BY_SIZE
    try:
        covered = _coverage(tracks, mask, progress)
    except VideoError:
        return 0, MASK_UNREADABLE
    if covered.max() > 0:
        return tracks[int(np.argmax(covered))].person, BY_MASK
    return 0, BY_SIZE


def _coverage(
    tracks: Sequence[FaceSequence], mask: Path, progress: Callable[[], None]
) -> Float64[np.ndarray, " tracks"]:
    """Measure the mean share of each track's boxes, in [0, 1], that the mask marks."""
    wanted = {
        int(index)
        for track in tracks
        for index in track.frame_index[np.linspace(0, len(track) - 1, _FRAMES).astype(int)]
    }
    sums, counts = np.zeros(len(tracks)), np.zeros(len(tracks))
    for frame in open_video(mask, max_frames=max(wanted) + 1).frames:
        progress()
        if frame.index in wanted:
            marked = frame.image.max(axis=2) > _MARKED
            for number, track in enumerate(tracks):
                for place in np.flatnonzero(track.frame_index == frame.index):
                    sums[number] += _share(marked, track.box[place])
                    counts[number] += 1
    return sums / np.maximum(counts, 1)


def _share(marked: Bool[np.ndarray, "h w"], box: Float32[np.ndarray, " 4"]) -> float:
    x0, y0, x1, y1 = np.clip(np.rint(box).astype(int), 0, None)
    part = marked[y0:y1, x0:x1]
    return float(part.mean()) if part.size else 0.0
