"""What a detector needs to see before it may judge: without evidence it gives no verdict.

A detector that sees single frames can judge any face. One that looks at motion alone can judge a clip in which at least
two frames lie as near to each other as in its training, and in which something moves.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from fakedetect_jax import models
from fakedetect_jax.data.clips import Clip, ClipSpec
from fakedetect_jax.models.clip import fill_invalid

# A clip of a still changes by less (in levels of 255), except where encoders begin and at key frames; calm faces
# change by more in `_SPAN` seconds, and by less in a shorter clip: docs/evaluation.md has figures.
_LEAST_CHANGE = 0.4
_SPAN = 0.12
_CELLS = 32
# So many neighbouring clips decide together whether anything moves, so that no key frame makes a still move.
_NEIGHBOURS = 9

_MOTION_ONLY = "it looks at motion alone, and "


def change_of(clip: models.Clip) -> Float[Array, " b"]:
    """Return how far each clip departs from its first frame: the mean change of luminance, in levels of 255.

    Luminance is averaged over cells, about 32 to a side, which leaves little of the noise of cameras and encoders.
    """
    frames, _ = fill_invalid(clip)
    b, t, h, w, _ = frames.shape
    rows, columns = max(1, h // _CELLS), max(1, w // _CELLS)
    luminance = 255 * frames[:, :, : h // rows * rows, : w // columns * columns].mean(axis=-1)
    cells = luminance.reshape((b, t, h // rows, rows, w // columns, columns)).mean(axis=(3, 5))
    return jnp.abs(cells - cells[:, :1]).mean(axis=(2, 3)).max(axis=1)


def why_not_judged(
    clips: Sequence[tuple[int, Clip]],
    times: Sequence[Sequence[Float32[np.ndarray, " _"]]],
    change: Float[np.ndarray, " n"],
    spec: ClipSpec,
) -> list[str]:
    """Say of each clip why a detector that looks at motion alone cannot judge it; '' if it can.

    Args:
        clips: All clips of every person in order, each with the number of its person.
        times: Times of the kept frames of every person's tracks in seconds.
        change: Of each clip, as `change_of` measures it.
        spec: What a clip is.
    """
    reasons = []
    for (person, track), group in itertools.groupby(range(len(clips)), lambda n: _track(clips[n])):
        places = list(group)
        chosen = [clips[place][1] for place in places]
        seen = [times[person][track][clip.positions[clip.valid]] for clip in chosen]
        least = [_LEAST_CHANGE * min(1.0, float(frames[-1] - frames[0]) / _SPAN) for frames in seen]
        moves = _with_neighbours(change[places] - least) >= 0
        for frames, moving in zip(seen, moves, strict=True):
            reasons.append(_why_not(np.diff(frames), spec, moving=bool(moving)))
    return reasons


def _why_not(steps: Float[np.ndarray, " _"], spec: ClipSpec, *, moving: bool) -> str:
    if not len(steps):
        return f"{_MOTION_ONLY}there is a single frame"
    if steps.min() > spec.longest_step:
        return (
            f"{_MOTION_ONLY}the frames are {steps.min():.2g} s apart, when {spec.longest_step:.2g} s is the most at "
            "which it knows motion"
        )
    return "" if moving else f"{_MOTION_ONLY}nothing moves"


def _track(clip: tuple[int, Clip]) -> tuple[int, int]:
    return clip[0], clip[1].track


def _with_neighbours(change: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the median of each clip and those around it, of the nearest `_NEIGHBOURS` at the ends of the track."""
    count = min(_NEIGHBOURS, len(change))
    first = np.clip(np.arange(len(change)) - count // 2, 0, len(change) - count)
    return np.median(change[first[:, None] + np.arange(count)], axis=1)
