"""Which frames of a video are kept."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Int

from fakedetect_jax.errors import FakedetectError


@dataclasses.dataclass(frozen=True)
class FrameChoice:
    """All frames, every k-th, some evenly spread, or dense runs evenly spread.

    Attributes:
      every: source frames from one kept frame to the next, over the whole video or within a run.
      count: 0 keeps frames all over the video; else this many, or this many runs, evenly spread.
      run: kept frames of a run.

    Raises:
      FakedetectError: a number out of range, or runs without a count.
    """

    every: int = 1
    count: int = 0
    run: int = 1

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("count", 0), ("run", 1)):
            if getattr(self, name) < least:
                raise FakedetectError(
                    f"frames: {name}={getattr(self, name)} is too small; give at least {least}"
                )
        if self.run > 1 and not self.count:
            raise FakedetectError(f"frames: runs of {self.run} need a number of runs (count)")

    @property
    def whole(self) -> bool:
        """Whether frames are kept all over the video, which needs no knowledge of its length."""
        return self.count == 0

    def positions(self, length: int) -> Int[np.ndarray, " n"]:
        """Returns the kept frames of a video of `length` frames, rising; runs that would overlap are joined.

        A run stands in the middle of its share of the video, so that neither end is favoured.
        """
        if self.whole:
            return np.arange(0, length, self.every)
        span = self.every * (self.run - 1) + 1
        middles = (np.arange(self.count) + 0.5) * length / self.count
        starts = np.clip(np.floor(middles - (span - 1) / 2), 0, max(length - span, 0))
        chosen = starts[:, None] + self.every * np.arange(self.run)
        return np.unique(chosen[chosen < length].astype(np.int64))
