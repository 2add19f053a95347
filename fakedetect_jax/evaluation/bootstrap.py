"""Percentile bootstrap intervals that resample whole clusters (Efron & Tibshirani 1993, chapter 13).

Clips of one person share face, camera and codec, so they are not independent draws. The unit that is
drawn with replacement is therefore the cluster (an identity or a source video).

Clusters are drawn among those of their kind: with reals only, with fakes only, with both. That keeps the sizes
of the classes, which belong to the design of a test and not to its chance. Nothing finer is a stratum: a
stratum of one cluster never varies, and one of k shows only (k - 1) / k of its variance. A resample can
therefore lack a method altogether. It says nothing of that method and is rejected. As every class must be in
at least `MIN_CLUSTERS` clusters, a class is missing from less than one resample in a hundred (exp(-5)).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Integer, Shaped

from fakedetect_jax.evaluation.metrics import UndefinedMetric

Metric = Callable[..., np.float64 | np.ndarray]

# A kind with fewer clusters is not drawn by itself, and a class in fewer clusters has no interval.
MIN_CLUSTERS = 5
# Weights of one batch of resamples: large enough for numpy to be quick, small enough for 32 MB.
_BATCH_ELEMENTS = 1 << 22
# Resamples of a perfect ranking differ by rounding only.
_NO_WIDTH = 1e-12


@dataclass(frozen=True)
class Interval:
    """A metric's value on the data and the ends of its confidence interval.

    `rejected` resamples lacked a class and took no part.
    """

    value: float
    low: float
    high: float
    rejected: int = 0


@dataclass(frozen=True)
class Resamples:
    """The cluster of each item, and how often each resample drew each cluster."""

    cluster: Int[np.ndarray, " n"]
    counts: Int[np.ndarray, "r c"]


def draw(
    groups: Shaped[np.ndarray, " n"],
    labels: Integer[np.ndarray, " n"],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Resamples:
    """Draw clusters with replacement, each kind by itself: reals only, fakes only, both.

    If one of the kinds has fewer than `MIN_CLUSTERS` members, all kinds are drawn together.

    Args:
        groups: [n], the cluster (identity, source video) of each item.
        labels: [n], 1 = fake, 0 = real.
        resamples: number of resamples r.
        seed: seed of the draws.
    """
    groups, labels = np.asarray(groups), np.asarray(labels, np.int64)
    if groups.shape != labels.shape or groups.ndim != 1:
        raise ValueError(f"groups {groups.shape} and labels {labels.shape} must be two vectors of one length")
    names, cluster = np.unique(groups, return_inverse=True)
    holds = np.zeros((len(names), 2), bool)
    holds[cluster, labels] = True
    _, kind, sizes = np.unique(holds, axis=0, return_inverse=True, return_counts=True)
    if sizes.min(initial=MIN_CLUSTERS) < MIN_CLUSTERS:
        kind = np.zeros_like(kind)

    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, len(names)), np.int32)
    for one in np.unique(kind):
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
    """Return the metric on every resample, over the items that `where` selects; NaN where the resample is rejected.

    `metric(labels, scores, weights)` must take weights [r, n] and give r values, as the functions of `metrics` do.
    One set of resamples serves many subsets and metrics, so that their differences and means have honest intervals
    too. A resample is rejected when it lacks a class that the selected items have.

    Raises:
        UndefinedMetric: a class of the selected items is in fewer than `MIN_CLUSTERS` clusters.
    """
    where = np.ones(labels.shape, bool) if where is None else where
    labels, scores, cluster = labels[where], scores[where], resamples.cluster[where]
    usable = np.ones(len(resamples.counts), bool)
    for label in np.unique(labels):
        holding = np.unique(cluster[labels == label])
        if holding.size < MIN_CLUSTERS:
            raise UndefinedMetric(
                f"the {'fakes' if label else 'reals'} are in {holding.size} independent "
                f"cluster{'s' if holding.size > 1 else ''}: an interval needs at least {MIN_CLUSTERS}"
            )
        usable &= resamples.counts[:, holding].any(axis=1)
    batch = max(1, _BATCH_ELEMENTS // max(1, labels.size))
    values = np.full(usable.shape, np.nan)
    rows = np.flatnonzero(usable)
    for start in range(0, rows.size, batch):
        chosen = rows[start : start + batch]
        values[chosen] = metric(labels, scores, resamples.counts[chosen][:, cluster])
    return values


def percentile_interval(
    value: float, values: Float[np.ndarray, " r"], *, confidence: float = 0.95
) -> Interval:
    """Return the interval that holds the central `confidence` share of the resampled values, NaN left out.

    Raises:
        UndefinedMetric: most resamples were rejected, or all give one value, as a perfect ranking does.
    """
    kept = values[~np.isnan(values)]
    rejected = values.size - kept.size
    if rejected > kept.size:
        raise UndefinedMetric(f"{rejected} of {values.size} resamples lack a class")
    tail = (1 - confidence) / 2
    low, high = np.quantile(kept, [tail, 1 - tail])
    if high - low < _NO_WIDTH:
        raise UndefinedMetric(f"all resamples give {low:.3f}: these data do not show how far it may vary")
    return Interval(float(value), float(low), float(high), rejected)


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
    """Return a metric's value with its percentile interval, resampling whole groups when given.

    Args:
        metric: as in `replicates`.
        labels: [n], 1 = fake, 0 = real.
        scores: [n].
        groups: [n], the identity or source video of each item; without it each item is its own cluster.
        resamples: number of resamples; 1000 is the usual minimum for a 95 % interval.
        confidence: in (0, 1).
        seed: seed of the draws.

    Raises:
        UndefinedMetric: the metric is undefined on the data, or has no interval there: a class in fewer than
            `MIN_CLUSTERS` groups, or resamples that all give one value.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    value = float(metric(labels, scores))
    groups = np.arange(labels.size) if groups is None else np.asarray(groups)
    drawn = draw(groups, labels, resamples=resamples, seed=seed)
    return percentile_interval(value, replicates(metric, labels, scores, drawn), confidence=confidence)
