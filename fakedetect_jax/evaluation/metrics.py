"""Detection metrics as plain functions of labels (1 = fake, 0 = real) and scores (higher = more fake).

Every function takes optional weights. Weights with a leading axis, [r, n], give r values at once from one
sort of the scores, which is what makes the bootstrap cheap: a resample is nothing but integer weights.

Example:
    >>> labels, scores = np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.6])
    >>> float(auc(labels, scores))
    0.75
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float, Integer, Num

from fakedetect_jax.errors import FakedetectError

Labels: TypeAlias = Integer[np.ndarray, " n"]
Scores: TypeAlias = Float[np.ndarray, " n"]
Weights: TypeAlias = Num[np.ndarray, "*r n"]
Value: TypeAlias = np.float64 | Float[np.ndarray, " r"]

# The P(fake) from which on a verdict is "fake".
THRESHOLD = 0.5


class UndefinedMetric(FakedetectError):
    """The metric has no value on this input: nothing to measure, or only one class where it needs two."""


class RocCurve(NamedTuple):
    """Points of a ROC curve from (0, 0) to (1, 1), one for each distinct score, joined by straight lines."""

    false_positive_rate: Float[np.ndarray, " k"]
    true_positive_rate: Float[np.ndarray, " k"]
    threshold: Float[np.ndarray, " k"]


def probability(logit: Float[np.ndarray, "*s"] | np.floating) -> Float[np.ndarray, "*s"]:
    """Return P(fake) = 1 / (1 + exp(-logit)) in float64, without overflow.

    In float32, all logits above 17 would tie at 1; in float64, only those above 37 do.

    Raises:
        FakedetectError: a logit is not finite.
    """
    logit = np.asarray(logit, np.float64)
    if not np.isfinite(logit).all():
        at = int(np.argmin(np.isfinite(logit)))
        raise FakedetectError(
            f"logit {logit.flat[at]} of {logit.size} (number {at}) is not finite and gives no verdict; the "
            "weights or the settings of the input are damaged: export or download the detector again"
        )
    odds = np.exp(-np.abs(logit))
    less_likely = odds / (1.0 + odds)
    return np.where(logit >= 0, 1.0 - less_likely, less_likely)


def roc_curve(labels: Labels, scores: Scores, weights: Weights | None = None) -> RocCurve:
    """Return the ROC curve; a clip counts as fake if score >= threshold, and the first threshold is +inf.

    Args:
        labels: [n], 1 = fake, 0 = real.
        scores: [n], any finite numbers.
        weights: [n], non-negative; 1 by default.

    Raises:
        UndefinedMetric: there is no input, or a class has no weight.
        FakedetectError: a score is not finite.
        ValueError: labels are not 0 or 1, weights are negative or not finite, or lengths differ.
    """
    labels, scores, weights = _checked(labels, scores, weights)
    if weights.ndim != 1:
        raise ValueError(
            f"roc_curve: weights must have one axis, not shape {weights.shape}; pass one row at a time"
        )
    false_rate, true_rate = _rates(*_cumulative(labels, scores, weights))
    return RocCurve(false_rate, true_rate, np.append(np.inf, np.unique(scores)[::-1]))


def auc(labels: Labels, scores: Scores, weights: Weights | None = None) -> Value:
    """Return the area under the ROC curve: the chance that a fake scores above a real, with ties as one half.

    Shapes and errors as in `roc_curve`; weights [r, n] give r values. In [0, 1]; 0.5 is chance.
    """
    false_rate, true_rate = _rates(*_cumulative(*_checked(labels, scores, weights)))
    return np.trapezoid(true_rate, false_rate, axis=-1)


def average_precision(labels: Labels, scores: Scores, weights: Weights | None = None) -> Value:
    """Return precision averaged over the steps in recall, without interpolation; it rises with the share of fakes.

    Shapes and errors as in `roc_curve`; weights [r, n] give r values. In (0, 1].
    """
    fakes, reals = _cumulative(*_checked(labels, scores, weights))
    flagged = fakes + reals
    precision = np.divide(fakes, flagged, out=np.zeros_like(flagged), where=flagged > 0)
    return np.sum(np.diff(fakes, axis=-1, prepend=0.0) * precision, axis=-1) / fakes[..., -1]


def equal_error_rate(labels: Labels, scores: Scores, weights: Weights | None = None) -> Value:
    """Return the error rate where false positives and misses are equally frequent: FPR = 1 - TPR.

    The crossing is found on the straight lines between ROC points (one per distinct score), so the value does not
    depend on a choice of thresholds. Shapes and errors as in
    `roc_curve`; weights [r, n] give r values. In [0, 1]; 0.5 is chance.
    """
    false_rate, true_rate = _rates(*_cumulative(*_checked(labels, scores, weights)))
    excess = false_rate + true_rate - 1.0  # rises from -1 to 1 along the curve
    after = np.argmax(excess >= 0, axis=-1)[..., None]

    def at(values: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.take_along_axis(values, index, axis=-1)[..., 0]

    low, high = at(excess, after - 1), at(excess, after)
    start, end = at(false_rate, after - 1), at(false_rate, after)
    return start + (end - start) * (-low / (high - low))


def accuracy(
    labels: Labels, scores: Scores, weights: Weights | None = None, *, threshold: float = THRESHOLD
) -> Value:
    """Return the share of right verdicts if score >= threshold means fake.

    One class alone is fine. With unequal classes a constant verdict scores well too: read it beside AUC.

    Raises:
        FakedetectError: the threshold is not finite, or a case of `roc_curve`.
    """
    if not np.isfinite(threshold):
        raise FakedetectError(f"threshold is {threshold}; it must be a finite score")
    labels, scores, weights = _checked(labels, scores, weights)
    return _mean(((scores >= threshold) == (labels == 1)).astype(np.float64), weights)


def log_loss(labels: Labels, scores: Scores, weights: Weights | None = None) -> Value:
    """Return the mean of -log P(true label), natural logarithm, with P clipped to [eps, 1 - eps] of float64.

    Near P = 1 a probability has lost the bits that the loss of a real depends on (2 in 10^9 of it at the logit
    20, all beyond 36). If there are logits, `log_loss_from_logits` is exact.

    Args:
        labels: [n], 1 = fake, 0 = real; one class alone is fine.
        scores: [n], P(fake) in [0, 1].
        weights: [n] or [r, n].

    Raises:
        FakedetectError: a score is outside [0, 1].
        ValueError: the cases of `roc_curve`.
    """
    labels, scores, weights = _checked(labels, scores, weights)
    if scores.min() < 0 or scores.max() > 1:
        bad = scores[(scores < 0) | (scores > 1)][0]
        raise FakedetectError(
            f"log_loss: score {bad} is not a probability; pass P(fake) in [0, 1], not a logit"
        )
    eps = np.finfo(np.float64).eps
    clipped = np.clip(scores, eps, 1 - eps)
    return _mean(-np.log(np.where(labels == 1, clipped, 1 - clipped)), weights)


def log_loss_from_logits(labels: Labels, logits: Scores, weights: Weights | None = None) -> Value:
    """Return the mean of -log P(true label) from logits of P(fake), unclipped: ln(1 + exp(logit)) for a real.

    Confident errors on reals and on fakes cost the same, to the last bits. Shapes as in `log_loss`, errors as
    in `roc_curve`; one class alone is fine.
    """
    labels, logits, weights = _checked(labels, logits, weights)
    return _mean(np.logaddexp(0.0, np.where(labels == 1, -logits, logits)), weights)


def _checked(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"labels {labels.shape} and scores {scores.shape} must be two vectors of one length")
    if not labels.size:
        raise UndefinedMetric("labels and scores are empty: there is nothing to measure")
    if not np.isin(labels, (0, 1)).all():
        bad = labels[~np.isin(labels, (0, 1))][0]
        raise ValueError(f"labels must be 0 (real) or 1 (fake), not {bad}")
    if not np.isfinite(scores).all():
        at = int(np.argmin(np.isfinite(scores)))
        raise FakedetectError(f"scores[{at}] is {scores[at]}; every score must be finite")
    weights = np.ones(labels.shape) if weights is None else np.asarray(weights, np.float64)
    if weights.ndim == 0 or weights.shape[-1] != labels.size:
        raise ValueError(f"weights {weights.shape} must end in the {labels.size} of labels and scores")
    usable = np.isfinite(weights) & (weights >= 0)
    if not usable.all():
        raise ValueError(f"a weight is {weights[~usable][0]}; weights must be finite and not negative")
    return labels.astype(np.int64), scores, weights


def _cumulative(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of fakes and of reals at or above each distinct score, highest first: two arrays [..., k]."""
    order = np.argsort(-scores, kind="stable")
    ranked, fake = scores[order], labels[order] == 1
    last_of_tie = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    weights = weights[..., order]
    fakes = np.cumsum(weights * fake, axis=-1)[..., last_of_tie]
    reals = np.cumsum(weights * ~fake, axis=-1)[..., last_of_tie]
    for name, total in (("fake", fakes), ("real", reals)):
        if (total[..., -1] <= 0).any():
            raise UndefinedMetric(f"there is no {name} clip (with weight) to compare with the others")
    return fakes, reals


def _rates(fakes: np.ndarray, reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false and true positive rates [..., k + 1] from cumulative weights, starting at (0, 0)."""
    start = np.zeros((*fakes.shape[:-1], 1))
    false_rate = np.concatenate([start, reals / reals[..., -1:]], axis=-1)
    return false_rate, np.concatenate([start, fakes / fakes[..., -1:]], axis=-1)


def _mean(values: np.ndarray, weights: np.ndarray) -> Value:
    total = weights.sum(axis=-1)
    if (total <= 0).any():
        raise UndefinedMetric("all weights are zero: there is nothing to measure")
    return weights @ values / total
