"""Which face of a video its label is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fakedetect_jax.faces import FaceSequence, VideoError
from fakedetect_jax.faces.video import open_video

_FRAMES = 32
_MARKED = 16  # of 255: masks are videos too, and compression leaves noise where they are black


def main_person(tracks: list[FaceSequence], mask: Path | None) -> tuple[int, str]:
    """Returns the number of the manipulated person and how it is known: 'mask', or 'size' without any.

    Without a mask it is person 0, the largest and longest seen.

    Args:
      tracks: at least one.
      mask: video of the manipulated region, white on black, frame by frame as the video itself.
    """
    covered = _coverage(tracks, mask) if mask is not None else np.zeros(len(tracks))
    if covered.max() > 0:
        return tracks[int(np.argmax(covered))].person, "mask"
    return 0, "size"


def _coverage(tracks: list[FaceSequence], mask: Path) -> np.ndarray:
    """Mean share of each track's boxes that the mask marks; zeros for a mask that cannot be read."""
    wanted = {
        int(index)
        for track in tracks
        for index in track.frame_index[np.linspace(0, len(track) - 1, _FRAMES).astype(int)]
    }
    sums, counts = np.zeros(len(tracks)), np.zeros(len(tracks))
    try:
        for frame in open_video(mask, max_frames=max(wanted) + 1).frames:
            if frame.index in wanted:
                marked = frame.image.max(axis=2) > _MARKED
                for number, track in enumerate(tracks):
                    for place in np.flatnonzero(track.frame_index == frame.index):
                        sums[number] += _share(marked, track.box[place])
                        counts[number] += 1
    except VideoError:
        return np.zeros(len(tracks))
    return sums / np.maximum(counts, 1)


def _share(marked: np.ndarray, box: np.ndarray) -> float:
    x0, y0, x1, y1 = np.clip(np.rint(box).astype(int), 0, None)
    part = marked[y0:y1, x0:x1]
    return float(part.mean()) if part.size else 0.0
