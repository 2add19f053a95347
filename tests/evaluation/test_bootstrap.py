"""Intervals against scipy, by simulated coverage, and the rules of drawing clusters."""

import math

import numpy as np
import pytest
import scipy.stats

from fakedetect_jax.evaluation import bootstrap, metrics


def normal_scores(rng, n_real, n_fake, shift):
    labels = np.repeat([0, 1], [n_real, n_fake])
    return labels, rng.normal(size=labels.size) + shift * labels


def test_agrees_with_scipy_for_two_independent_samples():
    labels, scores = normal_scores(np.random.default_rng(0), 60, 80, 1.0)

    def auc(real, fake, axis=-1):
        return np.mean(
            (fake[..., None, :] > real[..., :, None]) + 0.5 * (fake[..., None, :] == real[..., :, None]),
            axis=(-1, -2),
        )

    expected = scipy.stats.bootstrap(
        (scores[labels == 0], scores[labels == 1]),
        auc,
        method="percentile",
        n_resamples=4000,
        batch=200,
        rng=np.random.default_rng(1),
    ).confidence_interval
    got = bootstrap.bootstrap(metrics.auc, labels, scores, resamples=4000, seed=2)
    # Both ends are themselves random: their standard error over 4000 resamples is about 0.0015 here.
    assert got.low == pytest.approx(expected.low, abs=0.007)
    assert got.high == pytest.approx(expected.high, abs=0.007)
    assert got.value == pytest.approx(metrics.auc(labels, scores))


def test_same_seed_same_interval_other_seed_other():
    labels, scores = normal_scores(np.random.default_rng(0), 30, 30, 1.0)
    one, two, three = (bootstrap.bootstrap(metrics.auc, labels, scores, seed=seed) for seed in (7, 7, 8))
    assert one == two
    assert one != three


def test_coverage_of_auc_for_independent_clips():
    """AUC of two unit normals a distance d apart is Phi(d / sqrt 2)."""
    rng = np.random.default_rng(0)
    truth = scipy.stats.norm.cdf(1 / math.sqrt(2))
    hits = 0
    for seed in range(300):
        labels, scores = normal_scores(rng, 50, 50, 1.0)
        interval = bootstrap.bootstrap(metrics.auc, labels, scores, resamples=300, seed=seed)
        hits += interval.low <= truth <= interval.high
    # 95 % of 300 +- 3.2 standard errors, less a little for the percentile method at n = 50.
    assert 0.90 <= hits / 300 <= 0.99


def test_clusters_keep_the_coverage_that_single_clips_lose():
    """30 people, 10 clips each, all clips of a person alike: only drawing people covers the truth."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(30), 10)
    labels = np.ones(300, int)
    truth = 0.7
    covered = {"people": 0, "clips": 0}
    for seed in range(150):
        scores = (rng.random(30) < truth).astype(float)[people]
        for name, groups in (("people", people), ("clips", None)):
            interval = bootstrap.bootstrap(
                metrics.accuracy, labels, scores, groups=groups, resamples=200, seed=seed
            )
            covered[name] += interval.low <= truth <= interval.high
    assert covered["people"] / 150 >= 0.89
    assert covered["clips"] / 150 <= 0.60


def test_clusters_of_one_item_are_no_clusters():
    labels, scores = normal_scores(np.random.default_rng(0), 20, 20, 1.0)
    alone = bootstrap.bootstrap(metrics.auc, labels, scores, seed=3)
    named = bootstrap.bootstrap(metrics.auc, labels, scores, groups=[f"{n:03}" for n in range(40)], seed=3)
    assert alone == named


def test_every_resample_holds_every_stratum_and_whole_clusters():
    groups = np.array(["a", "a", "a", "b", "b", "c", "d", "e"])
    strata = np.array(["real", "swap", "swap", "real", "swap", "real", "mouth", "mouth"])
    drawn = bootstrap.draw(groups, strata, resamples=500, seed=0)
    weights = drawn.counts[:, drawn.cluster]
    for stratum in np.unique(strata):
        assert (weights[:, strata == stratum].sum(axis=1) > 0).all()
    for group in np.unique(groups):
        members = weights[:, groups == group]
        assert (members == members[:, :1]).all()
    # Clusters of one kind are exchanged among themselves: a with b, d with e; c has no partner.
    assert (drawn.counts.sum(axis=1) == 5).all()
    assert (weights[:, groups == "c"] == 1).all()
    assert set(np.unique(weights[:, 0])) == {0, 1, 2}


def test_batches_do_not_change_the_result(monkeypatch):
    labels, scores = normal_scores(np.random.default_rng(0), 20, 20, 1.0)
    whole = bootstrap.bootstrap(metrics.average_precision, labels, scores, seed=0, resamples=101)
    monkeypatch.setattr(bootstrap, "_BATCH_ELEMENTS", 7 * 40)
    assert bootstrap.bootstrap(metrics.average_precision, labels, scores, seed=0, resamples=101) == whole


def test_higher_confidence_is_wider():
    labels, scores = normal_scores(np.random.default_rng(0), 40, 40, 1.0)
    narrow = bootstrap.bootstrap(metrics.auc, labels, scores, confidence=0.5)
    wide = bootstrap.bootstrap(metrics.auc, labels, scores, confidence=0.95)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_one_cluster_has_no_interval():
    labels, scores = normal_scores(np.random.default_rng(0), 5, 5, 1.0)
    with pytest.raises(metrics.UndefinedMetric, match="at least two"):
        bootstrap.bootstrap(metrics.auc, labels, scores, groups=["one"] * 10)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one length"):
        bootstrap.draw(np.arange(3), np.arange(4))
