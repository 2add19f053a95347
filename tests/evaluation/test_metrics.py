"""Metrics against scikit-learn, exact arithmetic and hand-made cases."""

import math
from fractions import Fraction

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from fakedetect_jax.evaluation import metrics

RANKING = (metrics.auc, metrics.average_precision, metrics.equal_error_rate)
ALL = (*RANKING, metrics.accuracy, metrics.log_loss)


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
        ([0, 1], [0.1, math.nan], ValueError, r"scores\[1\] is nan"),
        ([0, 1], [math.inf, 0.1], ValueError, r"scores\[0\] is inf"),
        ([0, 2], [0.1, 0.2], ValueError, "not 2"),
        ([0, 1, 1], [0.1, 0.2], ValueError, "one length"),
    ],
)
def test_bad_input_is_named(metric, labels, scores, error, message):
    with pytest.raises(error, match=message):
        metric(np.array(labels, int), np.array(scores, float))


@pytest.mark.parametrize("score", [-0.01, 1.01])
def test_log_loss_wants_probabilities(score):
    with pytest.raises(ValueError, match="not a probability"):
        metrics.log_loss(np.array([0, 1]), np.array([0.5, score]))


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [math.nan, 1.0]])
def test_bad_weights(weights):
    with pytest.raises(ValueError, match="weights"):
        metrics.auc(np.array([0, 1]), np.array([0.1, 0.2]), np.array(weights))


def test_a_resample_without_one_class_is_undefined():
    with pytest.raises(metrics.UndefinedMetric, match="no real"):
        metrics.auc(np.array([0, 1]), np.array([0.1, 0.2]), np.array([[1.0, 1.0], [0.0, 2.0]]))
