"""How a figure is spread over tracks: quartiles, and the bars of a small histogram for each class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

BINS = 40
_TAIL = 1  # per cent at either end that share the outermost bar


@dataclasses.dataclass(frozen=True)
class Spread:
    """One class of tracks.

    Attributes:
      tracks: how many have the figure.
      unknown: how many have not.
      quartiles: the lower, the median and the upper; None without tracks.
      bars: heights of the histogram from left to right, the highest 1.
    """

    tracks: int
    unknown: int
    quartiles: tuple[float, float, float] | None
    bars: list[float]


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The classes over one axis, from `low` to `high`; the outermost bars take in what lies beyond."""

    low: float
    high: float
    classes: dict[str, Spread]

    def place(self, value: float) -> float:
        """Returns where on the axis a value lies, in [0, 1]."""
        span = self.high - self.low
        return float(np.clip((value - self.low) / span, 0, 1)) if span else 0.5


def distribution(classes: Mapping[str, Float[np.ndarray, " n"]]) -> Distribution | None:
    """Returns the distribution of values by class, NaN meaning unknown; None if all are."""
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
