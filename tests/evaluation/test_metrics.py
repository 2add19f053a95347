"""Metrics against scikit-learn, exact arithmetic and hand-made cases."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation import metrics

RANKING = (metrics.auc, metrics.average_precision, metrics.equal_error_rate)
ALL = (*RANKING, metrics.accuracy, metrics.log_loss, metrics.log_loss_from_logits)


@st.composite
def cases(draw, weighted=False):
    """Labels with both classes, scores in [0, 1] (half of the time with many ties), weights with zeros."""
    size = draw(st.integers(2, 30))
    labels = draw(hnp.arrays(np.int64, size, elements=st.integers(0, 1)))
    labels[:2] = 0, 1
    grid = draw(st.sampled_from([4, 10, None]))
    values = st.floats(0, 1) if grid is None else st.integers(0, grid).map(lambda step: step / grid)
    scores = draw(hnp.arrays(np.float64, size, elements=values))
    if not weighted:
        return labels, scores
    weights = draw(hnp.arrays(np.float64, size, elements=st.integers(0, 4).map(float)))
    weights[:2] = 1
    return labels, scores, weights


@given(cases())
@settings(max_examples=80, deadline=None)
def test_agrees_with_sklearn(case):
    labels, scores = case
    assert metrics.auc(labels, scores) == pytest.approx(
        sklearn.metrics.roc_auc_score(labels, scores), abs=1e-9
    )
    assert metrics.average_precision(labels, scores) == pytest.approx(
        sklearn.metrics.average_precision_score(labels, scores), abs=1e-9
    )
    assert metrics.accuracy(labels, scores) == pytest.approx(
        sklearn.metrics.accuracy_score(labels, scores >= 0.5), abs=1e-9
    )
    assert metrics.log_loss(labels, scores) == pytest.approx(
        sklearn.metrics.log_loss(labels, scores, labels=[0, 1]), abs=1e-9
    )


@given(cases(weighted=True))
@settings(max_examples=80, deadline=None)
def test_weighted_agrees_with_sklearn(case):
    labels, scores, weights = case
    keep = weights > 0
    chosen = {"y_true": labels[keep], "y_score": scores[keep], "sample_weight": weights[keep]}
    assert metrics.auc(labels, scores, weights) == pytest.approx(
        sklearn.metrics.roc_auc_score(**chosen), abs=1e-9
    )
    assert metrics.average_precision(labels, scores, weights) == pytest.approx(
        sklearn.metrics.average_precision_score(**chosen), abs=1e-9
    )


@given(cases())
@settings(max_examples=60, deadline=None)
def test_roc_curve_agrees_with_sklearn(case):
    labels, scores = case
    expected = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
    for got, want in zip(metrics.roc_curve(labels, scores), expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-9)


def exact_equal_error_rate(labels, scores):
    """The crossing of FPR = 1 - TPR on the ROC polyline, in exact fractions, one threshold at a time."""
    reals = [score for label, score in zip(labels, scores, strict=True) if label == 0]
    fakes = [score for label, score in zip(labels, scores, strict=True) if label == 1]
    previous = Fraction(0), Fraction(0)
    for threshold in sorted(set(scores), reverse=True):
        point = (
            Fraction(sum(score >= threshold for score in reals), len(reals)),
            Fraction(sum(score >= threshold for score in fakes), len(fakes)),
        )
        if sum(point) >= 1:
            share = (1 - sum(previous)) / (sum(point) - sum(previous))
            return previous[0] + share * (point[0] - previous[0])
        previous = point
    raise AssertionError("the curve ends at (1, 1)")


@given(cases())
@settings(max_examples=80, deadline=None)
def test_equal_error_rate_agrees_with_exact_fractions(case):
    labels, scores = case
    expected = float(exact_equal_error_rate(labels.tolist(), scores.tolist()))
    assert metrics.equal_error_rate(labels, scores) == pytest.approx(expected, abs=1e-9)


@given(cases(weighted=True))
@settings(max_examples=60, deadline=None)
def test_integer_weights_are_repeated_items_and_rows_are_independent(case):
    labels, scores, weights = case
    repeats = weights.astype(int)
    rows = np.stack([weights, np.ones_like(weights)])
    for metric in ALL:
        repeated = metric(np.repeat(labels, repeats), np.repeat(scores, repeats))
        both = metric(labels, scores, rows)
        assert both.shape == (2,)
        np.testing.assert_allclose(both, [repeated, metric(labels, scores)], atol=1e-9)


@given(cases())
@settings(max_examples=50, deadline=None)
def test_ranking_metrics_see_only_the_order(case):
    labels, scores = case
    _, ranks = np.unique(scores, return_inverse=True)
    for metric in RANKING:
        assert metric(labels, ranks - 1e3) == pytest.approx(metric(labels, scores), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "auc", "error"),
    [([0.1, 0.2, 0.8, 0.9], 1.0, 0.0), ([0.9, 0.8, 0.2, 0.1], 0.0, 1.0), ([0.3] * 4, 0.5, 0.5)],
)
def test_perfect_reversed_and_constant(scores, auc, error):
    labels = np.array([0, 0, 1, 1])
    assert metrics.auc(labels, np.array(scores)) == auc
    assert metrics.equal_error_rate(labels, np.array(scores)) == error


def test_threshold_itself_means_fake():
    labels, scores = np.array([1, 0]), np.array([0.5, 0.49])
    assert metrics.accuracy(labels, scores) == 1.0
    assert metrics.accuracy(labels, scores, threshold=0.495) == 1.0
    assert metrics.accuracy(labels, scores, threshold=0.6) == 0.5


def test_log_loss_of_a_coin_and_of_certainty():
    labels = np.array([0, 1])
    assert metrics.log_loss(labels, np.array([0.5, 0.5])) == pytest.approx(math.log(2), abs=1e-12)
    assert metrics.log_loss(labels, np.array([1.0, 0.0])) == pytest.approx(52 * math.log(2), abs=1e-9)


def exact_loss(logit, digits=330):
    """ln(1 + exp(logit)), the loss of a real, and exp(logit) / (1 + exp(logit)), to `digits` digits."""
    with localcontext(prec=digits):
        odds = Decimal(logit).exp()
        return float((1 + odds).ln()), float(odds / (1 + odds))


finite_logits = st.floats(-700, 700) | st.floats(-40, 40)


@given(finite_logits)
def test_probability_agrees_with_scipy_and_with_330_digits(logit):
    found = metrics.probability(np.array([logit]))
    assert found.dtype == np.float64
    assert found[0] == pytest.approx(exact_loss(logit)[1], rel=1e-15, abs=1e-307)
    assert found[0] == pytest.approx(scipy.special.expit(logit), rel=1e-14, abs=1e-307)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probability_of_any_finite_logit_is_in_range_without_a_warning(dtype):
    largest = np.finfo(dtype).max
    logits = np.array([[-largest, -1e3, -800], [800, 1e3, largest]], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        found = metrics.probability(logits)
    np.testing.assert_array_equal(found, [[0, 0, 0], [1, 1, 1]])


def test_probability_keeps_apart_what_float32_ties():
    logits = np.arange(17, 36, dtype=np.float32)
    assert len(np.unique(np.float32(1) / (1 + np.exp(-logits)))) < len(logits)
    found = metrics.probability(logits)
    assert (np.diff(found) > 0).all()
    assert metrics.probability(np.float32(0)) == 0.5


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_not_finite_is_no_verdict(bad):
    with pytest.raises(FakedetectError, match=rf"logit {bad} of 4.*not finite"):
        metrics.probability(np.array([[0.0, 1.0], [bad, 2.0]], np.float32))
    with pytest.raises(FakedetectError, match=rf"scores\[1\] is {bad}"):
        metrics.log_loss_from_logits(np.array([0, 1]), np.array([0.0, bad]))


@given(st.lists(st.tuples(st.integers(0, 1), finite_logits, st.integers(0, 3)), min_size=1, max_size=8))
def test_log_loss_from_logits_agrees_with_330_digits(cases):
    labels, logits, weights = (np.array(column) for column in zip(*cases, strict=True))
    weights[0] = 1
    losses = [exact_loss(-logit if label else logit)[0] for label, logit, _ in cases]
    found = metrics.log_loss_from_logits(labels, logits, np.stack([weights, np.ones_like(weights)]))
    expected = [np.average(losses, weights=weights), np.mean(losses)]
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-300)
    assert metrics.log_loss_from_logits(labels, logits) == pytest.approx(np.mean(losses), rel=1e-14)


@pytest.mark.parametrize("logit", [1, 20, 40, 400])
def test_log_loss_from_logits_punishes_both_classes_alike(logit):
    real = metrics.log_loss_from_logits(np.array([0]), np.array([logit], np.float32))
    fake = metrics.log_loss_from_logits(np.array([1]), np.array([-logit], np.float32))
    assert real == fake
    assert real == pytest.approx(logit + math.log1p(math.exp(-logit)), rel=1e-15)


@given(st.floats(-30, 30), st.integers(0, 1))
def test_log_loss_of_probabilities_is_that_of_logits_but_for_the_bits_lost_near_one(logit, label):
    labels, logits = np.array([label]), np.array([logit])
    from_scores = metrics.log_loss(labels, metrics.probability(logits))
    # P within 1.1e-16 of the truth makes 1 - P, about exp(-|logit|), wrong by that share.
    slack = 1.2e-16 * math.exp(abs(logit)) + 1e-15
    assert from_scores == pytest.approx(metrics.log_loss_from_logits(labels, logits), abs=slack, rel=1e-15)


@pytest.mark.parametrize("threshold", [math.nan, math.inf])
def test_a_threshold_that_is_not_finite_gives_no_verdicts(threshold):
    with pytest.raises(FakedetectError, match=f"threshold is {threshold}"):
        metrics.accuracy(np.array([0, 1]), np.array([0.1, 0.9]), threshold=threshold)


@pytest.mark.parametrize("metric", [*RANKING, metrics.roc_curve])
@pytest.mark.parametrize(("label", "missing"), [(0, "fake"), (1, "real")])
def test_one_class_is_undefined(metric, label, missing):
    with pytest.raises(metrics.UndefinedMetric, match=f"no {missing} clip"):
        metric(np.full(3, label), np.array([0.1, 0.2, 0.3]))


@pytest.mark.parametrize("metric", [metrics.accuracy, metrics.log_loss])
def test_one_class_has_accuracy_and_log_loss(metric):
    assert math.isfinite(metric(np.ones(3, int), np.array([0.1, 0.6, 0.9])))


@pytest.mark.parametrize("metric", [*ALL, metrics.roc_curve])
@pytest.mark.parametrize(
    ("labels", "scores", "error", "message"),
    [
        ([], [], metrics.UndefinedMetric, "empty"),
        ([0, 1], [0.1, math.nan], FakedetectError, r"scores\[1\] is nan"),
        ([0, 1], [math.inf, 0.1], FakedetectError, r"scores\[0\] is inf"),
        ([0, 2], [0.1, 0.2], ValueError, "not 2"),
        ([0, 1, 1], [0.1, 0.2], ValueError, "one length"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_input_is_named(metric, labels, scores, error, message):
    with pytest.raises(error, match=message):
        metric(np.array(labels, int), np.array(scores, float))


@pytest.mark.parametrize("score", [-0.01, 1.01])
def test_log_loss_wants_probabilities(score):
    with pytest.raises(FakedetectError, match="not a probability"):
        metrics.log_loss(np.array([0, 1]), np.array([0.5, score]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"weights \(1,\) must end in the 2"),
        ([1.0, -1.0], "a weight is -1.0"),
        ([[1.0, 1.0], [math.nan, 1.0]], "a weight is nan"),
        ([1.0, math.inf], "a weight is inf"),
    ],
)
@pytest.mark.parametrize("metric", ALL)
@pytest.mark.usefixtures("unchecked_types")
def test_bad_weights(metric, weights, message):
    with pytest.raises(ValueError, match=message):
        metric(np.array([0, 1]), np.array([0.1, 0.2]), np.array(weights))


def test_a_resample_without_one_class_is_undefined():
    with pytest.raises(metrics.UndefinedMetric, match="no real"):
        metrics.auc(np.array([0, 1]), np.array([0.1, 0.2]), np.array([[1.0, 1.0], [0.0, 2.0]]))
