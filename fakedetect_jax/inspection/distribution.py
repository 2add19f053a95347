"""The distribution of a measure over tracks: quartiles and a small histogram for each class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

BINS = 40
_TAIL = 1  # per cent at either end that the outermost bar takes in


@dataclasses.dataclass(frozen=True)
class Spread:
    """The values of one class of tracks.

    Attributes:
        tracks: How many tracks have a value.
        unknown: How many have none.
        quartiles: Lower quartile, median and upper quartile; None without tracks.
        bars: Heights of the histogram from left to right; the highest is 1.
    """

    tracks: int
    unknown: int
    quartiles: tuple[float, float, float] | None
    bars: list[float]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """All classes on one axis from `low` to `high`; the outermost bars take in what lies beyond."""

    low: float
    high: float
    classes: dict[str, Spread]

    def place(self, value: float) -> float:
        """Return the position of a value on the axis, in [0, 1]."""
        span = self.high - self.low
        return float(np.clip((value - self.low) / span, 0, 1)) if span else 0.5


def distribution(classes: Mapping[str, Float[np.ndarray, " _"]]) -> Distribution | None:
    """Return the distribution of values by class, where NaN is unknown; None if all values are."""
    known = {name: values[~np.isnan(values)] for name, values in classes.items()}
    everything = np.concatenate(list(known.values())) if known else np.zeros(0)
    if not len(everything):
        return None
    low, high = np.percentile(everything, [_TAIL, 100 - _TAIL]).tolist()
    spreads = {
        name: _spread(values, len(classes[name]) - len(values), low, high) for name, values in known.items()
    }
    return Distribution(low, high, spreads)


def _spread(values: Float[np.ndarray, " n"], unknown: int, low: float, high: float) -> Spread:
    if not len(values):
        return Spread(0, unknown, None, [0.0] * BINS)
    counts = np.histogram(values.clip(low, high), BINS, range=(low, high))[0]
    lower, median, upper = np.percentile(values, [25, 50, 75]).tolist()
    return Spread(len(values), unknown, (lower, median, upper), (counts / counts.max()).tolist())
