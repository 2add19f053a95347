"""What a clip is, for training, validation, evaluation and `predict` alike."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction
from fakedetect_jax.ranges import Range, number, whole

# Tolerance as a share of the stride: time stamps are rounded, to milliseconds at the coarsest.
_TOLERANCE = 0.1
# Kept frames further apart than so many strides, or usual steps, lie in different runs.
_GAP = 3.0
# Videos that detectors learn from have 24 to 30 frames a second.
_USUAL_FPS = 25.0

RANGES: dict[str, Range] = {
    "frames": whole(1, 4096),
    "stride": number(0, 3600, above=True),
    "interval": number(0, 3600, above=True),
    "size": whole(16, 4096),
    "margin": number(0, 10),
}


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """All that lies between a video and the model's input.

    `fakedetect build` decides `extraction`, which training reads from the dataset; the experiment decides the rest.
    Training writes the spec into its checkpoints and export into the detector; evaluation and `predict` read it there.

    Attributes:
        extraction: How the stored face crops were made.
        frames: Frames of a clip.
        stride: Seconds from one frame of a clip to the next.
        interval: Seconds of a track for every clip, in validation, evaluation and `predict`.
        size: Side of the model's input in pixels.
        margin: Margin of the model's crop around landmarks 0-67, as a fraction of their extent on each side.

    Raises:
        FakedetectError: A value is out of its range in `RANGES`.

    Example:
        >>> spec = ClipSpec(Extraction(), frames=8, stride=0.16, interval=5.0, size=224, margin=0.125)
        >>> clips = choose_clips([np.arange(500, dtype=np.float32) / 25], spec)
        >>> len(clips), np.diff(clips[0].positions).tolist()
        (4, [4, 4, 4, 4, 4, 4, 4])
    """

    extraction: Extraction
    frames: int
    stride: float
    interval: float
    size: int
    margin: float

    def __post_init__(self) -> None:
        for name, wanted in RANGES.items():
            value = getattr(self, name)
            if not wanted.allows(value):
                raise FakedetectError(f"clip.{name}={value!r}; it must be {wanted.words}")

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> ClipSpec:
        """Return the spec that `dataclasses.asdict` turned into `document`."""
        return cls(**{**document, "extraction": Extraction.parse(document["extraction"])})

    @property
    def longest_step(self) -> float:
        """Seconds between two frames beyond which they do not show the motion that clips of this spec show.

        It is infinite if single frames are kept, spread over the video: their distance depends on its length.
        """
        kept = self.extraction.frames
        if not kept.whole and kept.run == 1:
            return math.inf
        return _GAP * max(self.stride, kept.every / _USUAL_FPS)


class Clip(NamedTuple):
    """Frames of one track: the number of the `track`, their `positions` in it, and which of them count (`valid`)."""

    track: int
    positions: Int[np.ndarray, " t"]
    valid: Bool[np.ndarray, " t"]


def choose_clips(
    times: Sequence[Float32[np.ndarray, " _"]], spec: ClipSpec, *, rng: np.random.Generator | None = None
) -> list[Clip]:
    """Choose clips of a person, who is seen in one track or, across cuts, in several.

    The frames of a clip are the kept frames nearest to every `spec.stride` seconds, each later than the one before, so
    that clips of videos with 25 and with 60 frames a second show the same motion. A track that is too short is sampled
    more densely. If it has too few frames, its last frame is repeated and marked invalid.

    Args:
        times: Rising time stamps of each track's kept frames in seconds; at least one track, none empty.
        spec: Frames and stride and, without an rng, the interval.
        rng: Draws one clip, with all places in all tracks equally likely. Without it, clips are spread evenly over each
            track: one for every `spec.interval` seconds, and at least one.

    Returns:
        One clip, or all clips in order of time within each track.
    """
    if rng is None:
        return [clip for track in range(len(times)) for clip in _spread(track, times[track], spec)]
    starts = [_starts(track, spec) for track in times]
    place = int(rng.integers(sum(map(len, starts))))
    track = 0
    while place >= len(starts[track]):
        place -= len(starts[track])
        track += 1
    return [_clip(track, times[track], int(starts[track][place]), spec)]


def _spread(track: int, times: np.ndarray, spec: ClipSpec) -> list[Clip]:
    possible = _starts(times, spec)
    step = float(times[-1] - times[0]) / max(len(times) - 1, 1)
    count = max(1, round((float(times[-1] - times[0]) + step) / spec.interval))
    # Clips lie in the middle of their shares of the track, so that neither end is favoured.
    shares = (np.arange(count) + 0.5) / count
    starts = possible[np.unique(np.floor(shares * len(possible)).astype(int))]
    return [_clip(track, times, int(start), spec) for start in starts]


def _starts(times: np.ndarray, spec: ClipSpec) -> Int[np.ndarray, " n"]:
    """Return the positions where a clip may start: those of clips that cross no gap in time, if there are any."""
    starts = np.arange(_last_start(times, spec) + 1)
    steps = np.diff(times)
    gaps = np.flatnonzero(steps > _GAP * max(spec.stride, float(np.median(steps)))) if len(steps) else steps
    if not len(gaps):
        return starts
    run_end = np.append(gaps, len(times) - 1)[np.searchsorted(gaps, starts)]
    long_enough = times[run_end] - times[starts] >= (spec.frames - 1 - _TOLERANCE) * spec.stride
    whole = starts[long_enough & (run_end - starts >= spec.frames - 1)]
    return whole if len(whole) else starts


def _last_start(times: np.ndarray, spec: ClipSpec) -> int:
    """Return the last position from which a whole clip at the stride fits into a track, 0 if none does."""
    latest = float(times[-1]) - ((spec.frames - 1) * spec.stride - _TOLERANCE * spec.stride)
    enough = len(times) - spec.frames  # sparsely kept frames lie further apart than the stride
    return max(0, min(int(np.searchsorted(times, latest, side="right")) - 1, enough))


def _clip(track: int, times: np.ndarray, start: int, spec: ClipSpec) -> Clip:
    count, left = spec.frames, len(times) - start
    if left <= count:
        positions = start + np.minimum(np.arange(count), left - 1)
        return Clip(track, positions, np.arange(count) < left)
    room = (float(times[-1]) - float(times[start])) / max(count - 1, 1)
    wanted = times[start].astype(np.float64) + min(spec.stride, room) * np.arange(count)
    after = np.clip(np.searchsorted(times, wanted), 1, len(times) - 1)
    nearest = after - (wanted - times[after - 1] <= times[after] - wanted)
    # Each is later than the one before, and none so late that the rest finds no room.
    ahead = np.maximum.accumulate(nearest - np.arange(count)) + np.arange(count)
    positions = np.minimum(ahead, len(times) - count + np.arange(count))
    return Clip(track, positions, np.ones(count, bool))
