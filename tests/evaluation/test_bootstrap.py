"""Intervals against scipy and all resamples, by simulated coverage, and the rules of drawing clusters."""

import collections
import contextlib
import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

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


# Shift of each method's fakes against the reals, in standard deviations of a score.
SHIFTS = {"real": 0.0, "swap": 0.6, "mouth": 1.0, "mesh": 1.0, "lips": 1.4}
METHODS = tuple(SHIFTS)[1:]


def every_method(rng, people):
    return [tuple(SHIFTS)] * people


def random_methods(rng, people):
    return [("real", *(method for method in METHODS if rng.random() < 0.5)) for _ in range(people)]


def one_video_each(rng, people):
    return [("real",) if person % 2 else (METHODS[person // 2 % 4],) for person in range(people)]


def reals_fakes_or_both(rng, people):
    kinds = (("real",), (), ("real",))
    return [
        (*kinds[person % 3], *((METHODS[person // 3 % 4],) if person % 3 else ())) for person in range(people)
    ]


def three_who_hold_both(rng, people):
    """Reals of half of the people, fakes of the others, and both of three: too few to be drawn by themselves."""
    return [
        ("real", "mouth") if person < 3 else ("real",) if person % 2 else (METHODS[person // 2 % 4],)
        for person in range(people)
    ]


def people_scores(rng, held, same=0.4):
    """Scores of one video for each person and method; `same` is the share of variance that is the person's."""
    rows = [(person, method) for person, methods in enumerate(held) for method in methods]
    person, method = (np.array(column) for column in zip(*rows, strict=True))
    shift = np.array([SHIFTS[name] for name in method])
    noise = math.sqrt(same) * rng.normal(size=len(held))[person] + math.sqrt(1 - same) * rng.normal(
        size=person.size
    )
    return person, method, (method != "real").astype(int), shift + noise


def true_auc(method):
    """Of a fake and a real of two people: their difference is normal with mean d and variance 2."""
    return scipy.stats.norm.cdf(SHIFTS[method] / math.sqrt(2))


def intervals(groups, method, labels, scores, seed):
    """The intervals of one method, of all fakes and of the mean over methods, as far as there are any."""
    drawn = bootstrap.draw(groups, labels, resamples=300, seed=seed)
    values = {"overall": bootstrap.replicates(metrics.auc, labels, scores, drawn)}
    for name in METHODS:
        where = np.isin(method, ("real", name))
        with contextlib.suppress(metrics.UndefinedMetric):
            values[name] = bootstrap.replicates(metrics.auc, labels, scores, drawn, where=where)
    if all(name in values for name in METHODS):
        values["mean"] = np.mean([values[name] for name in METHODS], axis=0)
    found = {}
    for name in values.keys() & {"mouth", "overall", "mean"}:
        with contextlib.suppress(metrics.UndefinedMetric):
            found[name] = bootstrap.percentile_interval(0.0, values[name])
    return found


def coverage(design, people, runs=400):
    """How often 95 % intervals hold the truth, and how often there is one."""
    rng = np.random.default_rng(0)
    hits = {name: [] for name in ("mouth", "overall", "mean")}
    for run in range(runs):
        groups, method, labels, scores = people_scores(rng, design(rng, people))
        truths = {name: true_auc(name) for name in METHODS}
        truths["mean"] = np.mean([true_auc(name) for name in METHODS])
        truths["overall"] = np.mean([true_auc(name) for name in method[labels == 1]])
        found = intervals(groups, method, labels, scores, seed=run)
        for name in hits.keys() & found.keys():
            hits[name].append(found[name].low <= truths[name] <= found[name].high)
    return {name: (np.mean(inside), len(inside) / runs) for name, inside in hits.items()}


@pytest.mark.parametrize(
    ("design", "people"),
    [
        (every_method, 40),
        (random_methods, 20),
        (random_methods, 40),
        (one_video_each, 80),
        (reals_fakes_or_both, 60),
        (three_who_hold_both, 80),
    ],
)
def test_coverage_of_auc(design, people):
    """The standard error of a coverage over 400 runs is 0.013, and the percentile method itself is a little short."""
    for name, (covered, share) in coverage(design, people).items():
        assert 0.88 <= covered <= 0.98, name
        assert share >= 0.95, name


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


def test_fifteen_people_with_fifteen_sets_of_methods_get_intervals_with_a_width():
    """No two people hold the same methods, and still each is one of fifteen exchangeable people."""
    held = [("real", *(m for bit, m in enumerate(METHODS) if person + 1 >> bit & 1)) for person in range(15)]
    groups, _, labels, scores = people_scores(np.random.default_rng(0), held)
    assert len(set(held)) == 15
    interval = bootstrap.bootstrap(metrics.auc, labels, scores, groups=groups)
    assert interval.high - interval.low > 0.1


def pairwise_auc(labels, scores, counts):
    """The chance that a fake scores above a real among items that are repeated `counts` times."""
    fakes, reals = (
        [
            score
            for label, score, n in zip(labels, scores, counts, strict=True)
            for _ in range(n)
            if label == one
        ]
        for one in (1, 0)
    )
    return np.mean([(fake > real) + 0.5 * (fake == real) for fake in fakes for real in reals])


def test_five_clusters_follow_the_exact_distribution_of_all_3125_resamples():
    held = [tuple(SHIFTS), ("real", "swap"), ("real", "lips"), tuple(SHIFTS)[:3], ("real", "mesh", "lips")]
    groups, _, labels, scores = people_scores(np.random.default_rng(3), held)
    exact = np.sort(
        [
            pairwise_auc(labels, scores, np.bincount(chosen, minlength=5)[groups])
            for chosen in itertools.product(range(5), repeat=5)
        ]
    )
    drawn = bootstrap.draw(groups, labels, resamples=20_000, seed=0)
    values = np.sort(bootstrap.replicates(metrics.auc, labels, scores, drawn))
    # Kolmogorov's distance stays below 1.95 / sqrt(20000) in 999 of 1000 cases, and in more for discrete values.
    at = np.unique(exact) + 1e-9
    distance = np.abs(
        np.searchsorted(values, at) / values.size - np.searchsorted(exact, at) / exact.size
    ).max()
    assert distance < 1.95 / math.sqrt(values.size)
    # An order that is left out of the enumeration would show as another spread.
    assert np.std(values) == pytest.approx(np.std(exact), rel=0.03)


@given(
    st.lists(st.sampled_from([("real",), ("swap",), ("real", "swap")]), min_size=1, max_size=30),
    st.integers(0, 99),
)
def test_whole_clusters_are_drawn_among_their_kind_and_none_is_fixed(held, seed):
    groups, _, labels, _ = people_scores(np.random.default_rng(seed), held)
    counts = bootstrap.draw(groups, labels, resamples=200, seed=seed).counts
    assert (counts.sum(axis=1) == len(held)).all()
    kinds = collections.Counter(held)
    if min(kinds.values()) >= bootstrap.MIN_CLUSTERS:
        for kind, members in kinds.items():
            assert (counts[:, [one == kind for one in held]].sum(axis=1) == members).all()
    if len(held) > 1:
        assert (counts.min(axis=0) == 0).all()
        assert (counts.max(axis=0) >= 2).all()


def test_resamples_without_a_class_are_rejected_and_counted():
    """Five of 60 people hold the mouth fakes: (55/60)^60 = 0.54 % of the resamples have none of them."""
    held = [("real", "swap", "mouth") if person < 5 else ("real", "swap") for person in range(60)]
    groups, method, labels, scores = people_scores(np.random.default_rng(0), held)
    drawn = bootstrap.draw(groups, labels, resamples=4000, seed=0)
    where = np.isin(method, ("real", "mouth"))
    values = bootstrap.replicates(metrics.auc, labels, scores, drawn, where=where)
    without = drawn.counts[:, :5].sum(axis=1) == 0
    assert 5 <= without.sum() <= 45
    np.testing.assert_array_equal(np.isnan(values), without)
    interval = bootstrap.percentile_interval(0.7, values)
    assert interval.rejected == without.sum()
    assert (interval.low, interval.high) == tuple(np.quantile(values[~without], [0.025, 0.975]))
    assert not np.isnan(bootstrap.replicates(metrics.auc, labels, scores, drawn)).any()


def test_an_interval_is_refused_when_most_resamples_lack_a_class():
    with pytest.raises(metrics.UndefinedMetric, match="6 of 10 resamples lack a class"):
        bootstrap.percentile_interval(0.5, np.array([np.nan] * 6 + [0.1, 0.2, 0.3, 0.4]))


@pytest.mark.parametrize(("reals", "fakes", "few"), [(4, 9, "reals are in 4"), (9, 1, "fakes are in 1 ")])
def test_a_class_in_fewer_than_five_clusters_has_no_interval(reals, fakes, few):
    labels, scores = normal_scores(np.random.default_rng(0), reals, fakes, 1.0)
    with pytest.raises(metrics.UndefinedMetric, match=f"{few}.*at least 5"):
        bootstrap.bootstrap(metrics.auc, labels, scores)
    labels, scores = normal_scores(np.random.default_rng(0), 5, 5, 1.0)
    interval = bootstrap.bootstrap(metrics.auc, labels, scores)
    assert interval.low < interval.high


def test_a_perfect_ranking_has_no_interval():
    """Every resample ranks perfectly too: [1, 1] would claim a certainty that 20 videos do not give."""
    labels, scores = np.repeat([0, 1], 10), np.arange(20.0)
    with pytest.raises(metrics.UndefinedMetric, match=r"all resamples give 1\.000"):
        bootstrap.bootstrap(metrics.auc, labels, scores)


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


@pytest.mark.usefixtures("unchecked_types")
def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one length"):
        bootstrap.draw(np.arange(3), np.arange(4))
