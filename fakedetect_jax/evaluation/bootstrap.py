"""Percentile bootstrap intervals that resample whole clusters (Efron & Tibshirani 1993, chapter 13).

Clips of one person share face, camera and codec, so they are not independent draws. The unit that is
drawn with replacement is therefore the cluster (an identity or a source video). Clusters are drawn within
strata of equal content, so that every resample holds every class and every method and no metric becomes
undefined.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from fakedetect_jax.evaluation.metrics import UndefinedMetric

Metric = Callable[..., np.float64 | np.ndarray]

# Weights of one batch of resamples: large enough for numpy to be quick, small enough for 32 MB.
_BATCH_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Interval:
    """A metric's value on the data and the ends of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Resamples:
    """How often each cluster was drawn, `counts`, and the cluster that each item is in, `cluster`."""

    cluster: Int[np.ndarray, " n"]
    counts: Int[np.ndarray, "r c"]

    @property
    def clusters(self) -> int:
        """Number of independent units."""
        return self.counts.shape[1]


def draw(
    groups: Shaped[np.ndarray, " n"],
    strata: Shaped[np.ndarray, " n"],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Resamples:
    """Draws clusters with replacement, among the clusters that hold the same set of strata.

    Args:
        groups: [n], the cluster (identity, source video) of each item.
        strata: [n], the kind of each item (its class, or its method), all of which every resample must hold.
        resamples: number of resamples r.
        seed: same seed, same draws.

    Raises:
        UndefinedMetric: fewer than two clusters, from which no spread can be told.
    """
    groups, strata = np.asarray(groups), np.asarray(strata)
    if groups.shape != strata.shape or groups.ndim != 1:
        raise ValueError(f"groups {groups.shape} and strata {strata.shape} must be two vectors of one length")
    _, cluster = np.unique(groups, return_inverse=True)
    _, stratum = np.unique(strata, return_inverse=True)
    clusters = int(cluster.max(initial=-1)) + 1
    if clusters < 2:
        raise UndefinedMetric(f"{clusters} independent cluster(s): an interval needs at least two")
    holds = np.zeros((clusters, int(stratum.max()) + 1), bool)
    holds[cluster, stratum] = True
    _, kind = np.unique(holds, axis=0, return_inverse=True)

    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, clusters), np.int32)
    for one in range(int(kind.max()) + 1):
        members = np.flatnonzero(kind == one)
        even = np.full(members.size, 1 / members.size)
        counts[:, members] = rng.multinomial(members.size, even, size=resamples)
    return Resamples(cluster, counts)


def replicates(
    metric: Metric,
    labels: Integer[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    resamples: Resamples,
    *,
    where: Bool[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, " r"]:
    """The metric on every resample, over the items that `where` selects.

    `metric(labels, scores, weights)` must take weights [r, n] and give r values, as those of `metrics` do.
    One set of resamples serves many subsets and metrics, so that differences and means of them have honest
    intervals too.
    """
    where = np.ones(labels.shape, bool) if where is None else where
    labels, scores, cluster = labels[where], scores[where], resamples.cluster[where]
    batch = max(1, _BATCH_ELEMENTS // max(1, labels.size))
    parts = [
        metric(labels, scores, resamples.counts[start : start + batch][:, cluster])
        for start in range(0, len(resamples.counts), batch)
    ]
    return np.concatenate(parts)


def percentile_interval(
    value: float, values: Float[np.ndarray, " r"], *, confidence: float = 0.95
) -> Interval:
    """The central `confidence` share of the resampled values around the measured one."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))


def bootstrap(
    metric: Metric,
    labels: Integer[np.ndarray, " n"],
    scores: Float[np.ndarray, " n"],
    *,
    groups: Sequence[object] | np.ndarray | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A metric's value with its percentile interval, stratified by class, resampling whole groups when given.

    Args:
        metric: as in `replicates`.
        labels: [n], 1 = fake, 0 = real.
        scores: [n].
        groups: [n], the identity or source video of each item; without it each item is its own cluster.
        resamples: 1000 is the usual least for a 95 % interval.
        confidence: in (0, 1).
        seed: same seed, same interval.

    Raises:
        UndefinedMetric: the metric is undefined on the data, or there is a single group.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    value = float(metric(labels, scores))
    groups = np.arange(labels.size) if groups is None else np.asarray(groups)
    drawn = draw(groups, labels, resamples=resamples, seed=seed)
    return percentile_interval(value, replicates(metric, labels, scores, drawn), confidence=confidence)
