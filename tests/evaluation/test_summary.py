"""The tree of metrics.json: subsets, counts, failures, undefined values."""

import dataclasses
import json
import math

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation import bootstrap, metrics
from fakedetect_jax.evaluation.scores import Failure, Score
from fakedetect_jax.evaluation.summary import METRICS, summarise, write_json


def make_scores(methods=("swap", "mouth"), identities=6, dataset="mini", seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for identity in range(identities):
        for method in ("real", *methods):
            frames = np.clip(0.35 + 0.3 * (method != "real") + 0.2 * rng.normal(size=3), 0, 1)
            rows.append(
                Score(
                    dataset,
                    method,
                    f"{identity:02}",
                    0,
                    int(method != "real"),
                    float(frames.mean()),
                    (0, 5, 10),
                    tuple(map(float, frames)),
                    identity=str(identity),
                )
            )
    return rows


@pytest.fixture(scope="module")
def scores():
    return make_scores()


@pytest.fixture(scope="module")
def summary(scores):
    return summarise(scores, seed=0, resamples=200)


def test_values_are_those_of_each_subset(scores, summary):
    levels = summary["datasets"]["mini"]
    for method in ("swap", "mouth"):
        rows = [row for row in scores if row.method in ("real", method)]
        expected = sklearn.metrics.roc_auc_score([row.label for row in rows], [row.score for row in rows])
        assert levels["video"]["methods"][method]["metrics"]["auc"]["value"] == pytest.approx(
            expected, abs=1e-9
        )
        labels = [row.label for row in rows for _ in row.frame_scores]
        frames = [score for row in rows for score in row.frame_scores]
        expected = sklearn.metrics.average_precision_score(labels, frames)
        found = levels["frame"]["methods"][method]["metrics"]["average_precision"]["value"]
        assert found == pytest.approx(expected, abs=1e-9)
    expected = sklearn.metrics.roc_auc_score([row.label for row in scores], [row.score for row in scores])
    assert levels["video"]["overall"]["metrics"]["auc"]["value"] == pytest.approx(expected, abs=1e-9)


def test_mean_over_methods_and_its_interval(summary):
    for level in ("video", "frame"):
        part = summary["datasets"]["mini"][level]
        for name in part["overall"]["metrics"]:
            entries = [part["methods"][method]["metrics"][name] for method in ("swap", "mouth")]
            mean = part["mean_over_methods"]["metrics"][name]
            assert mean["value"] == pytest.approx(np.mean([entry["value"] for entry in entries]))
            assert mean["low"] <= mean["value"] <= mean["high"]
            # Averaging cannot widen: at most the mean of the widths, up to quantile noise.
            widths = [entry["high"] - entry["low"] for entry in entries]
            assert mean["high"] - mean["low"] <= 1.1 * np.mean(widths)


def test_the_mean_of_two_equal_methods_has_their_interval():
    """Methods that share each resample vary together; with resamples of their own the mean would be too sure."""
    scores = make_scores(("swap",), 12)
    twins = [dataclasses.replace(row, method="mouth") for row in scores if row.method == "swap"]
    for level in summarise([*scores, *twins], resamples=200)["datasets"]["mini"].values():
        for name, mean in level["mean_over_methods"]["metrics"].items():
            swap = level["methods"]["swap"]["metrics"][name]
            assert [mean[key] for key in ("value", "low", "high")] == pytest.approx(
                [swap[key] for key in ("value", "low", "high")], abs=1e-12
            )


def test_counts(summary):
    levels = summary["datasets"]["mini"]
    overall = {
        name: levels["video"]["overall"][name] for name in ("n_real", "n_fake", "n_failed", "n_clusters")
    }
    assert overall == {"n_real": 6, "n_fake": 12, "n_failed": 0, "n_clusters": 6}
    assert levels["frame"]["methods"]["swap"]["n_fake"] == 18
    assert levels["video"]["mean_over_methods"]["n_methods"] == 2


def test_seed_decides_the_intervals_not_the_values(scores, summary):
    assert summarise(scores, seed=0, resamples=200) == summary
    other = summarise(scores, seed=1, resamples=200)["datasets"]["mini"]["video"]["overall"]["metrics"][
        "log_loss"
    ]
    first = summary["datasets"]["mini"]["video"]["overall"]["metrics"]["log_loss"]
    assert other["value"] == first["value"]
    assert (other["low"], other["high"]) != (first["low"], first["high"])


def value(summary, name, method=None, level="video"):
    part = summary["datasets"]["mini"][level]
    part = part["methods"][method] if method else part["overall"]
    return part["metrics"][name]["value"]


def test_failures_count_in_every_figure_as_the_documentation_says(scores):
    failures = [
        Failure("mini", "swap", "90", 1, "no face was found", identity="90"),
        Failure("mini", "real", "91", 0, "the file is truncated", identity="91"),
    ]
    summary = summarise(scores, failures=failures, resamples=50)
    methods = summary["datasets"]["mini"]["video"]["methods"]
    assert [(methods[name]["n_real"], methods[name]["n_fake"]) for name in ("swap", "mouth")] == [
        (7, 7),
        (7, 6),
    ]
    assert [methods[name]["n_failed"] for name in ("swap", "mouth")] == [2, 1]
    assert [failure["video_id"] for failure in summary["failures"]] == ["91", "90"]
    assert summary["datasets"]["mini"]["frame"]["overall"]["n_fake"] == 36

    rows = [row for row in scores if row.method in ("real", "swap")]
    labels = np.array([*(row.label for row in rows), 1, 0])
    as_half, as_worst = (
        np.array([*(row.score for row in rows), *ends]) for ends in ((0.5, 0.5), (-9.0, 9.0))
    )
    for name in ("auc", "average_precision", "equal_error_rate", "log_loss"):
        assert value(summary, name, "swap") == pytest.approx(METRICS[name].metric(labels, as_half)), name
    assert value(summary, "auc_worst_case", "swap") == pytest.approx(
        sklearn.metrics.roc_auc_score(labels, as_worst)
    )
    right = sum((row.score >= 0.5) == (row.label == 1) for row in rows)
    assert value(summary, "accuracy", "swap") == pytest.approx(right / (len(rows) + 2))
    # What was scored alone decides the frame level: it makes no claim on what failed.
    assert "auc_worst_case" not in summary["datasets"]["mini"]["frame"]["overall"]["metrics"]
    assert (
        summary["datasets"]["mini"]["frame"]["overall"]["metrics"]
        == (summarise(scores, resamples=50)["datasets"]["mini"]["frame"]["overall"]["metrics"])
    )


def test_what_cannot_be_judged_is_counted_apart_and_weighs_like_a_failure(scores):
    still = Score("mini", "swap", "90", 0, 1, None, identity="90", not_judged="nothing moves")
    failure = Failure("mini", "real", "91", 0, "the file is truncated", identity="91")
    summary = summarise([*scores, still], failures=[failure], resamples=50)
    overall = summary["datasets"]["mini"]["video"]["overall"]
    assert (overall["n_failed"], overall["n_not_judged"]) == (1, 1)
    methods = summary["datasets"]["mini"]["video"]["methods"]
    assert [methods[name]["n_not_judged"] for name in ("swap", "mouth")] == [1, 0]
    assert [(row["video_id"], row["reason"]) for row in summary["not_judged"]] == [("90", "nothing moves")]
    assert [row["video_id"] for row in summary["failures"]] == ["91"]
    as_failure = [failure, Failure("mini", "swap", "90", 1, "nothing moves", identity="90")]
    same = summarise(scores, failures=as_failure, resamples=50)
    for level in ("video", "frame"):
        for part in ("overall", "mean_over_methods"):
            first, second = (one["datasets"]["mini"][level][part] for one in (summary, same))
            assert first["metrics"] == second["metrics"]


def test_giving_up_on_nine_hopeless_fakes_gains_nothing():
    """Ten reals at 0.2 and ten fakes at 0.1: all verdicts on fakes are wrong, and stay so when nine are given up."""
    reals = [Score("mini", "real", f"{n}", 0, 0, 0.2) for n in range(10)]
    fakes = [Score("mini", "swap", f"{n}", 0, 1, 0.1) for n in range(10)]
    failures = [Failure("mini", "swap", f"{n}", 1, "no face") for n in range(9)]
    before, after = summarise(reals + fakes), summarise([*reals, fakes[9]], failures=failures)
    assert (value(before, "accuracy"), value(after, "accuracy")) == (0.5, 0.5)
    assert (value(before, "auc_worst_case"), value(after, "auc_worst_case")) == (0, 0)
    # The plain AUC takes a failure for a score in the middle, which is above these reals.
    assert value(after, "auc") == 0.9


video_scores = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]) | st.floats(0, 1)


@given(
    st.lists(st.tuples(st.sampled_from(["real", "swap", "mouth"]), video_scores), min_size=2, max_size=9),
    st.data(),
)
def test_a_failure_never_does_better_than_the_score_it_replaces(videos, data):
    rows = [
        Score("mini", method, f"{n}", 0, int(method != "real"), score)
        for n, (method, score) in enumerate(videos)
    ]
    given_up = data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=len(rows) - 1, unique=True))
    *already, last = (Failure(*row.key, row.label, "no face") for row in given_up)
    with_it = [row for row in rows if row.key not in {failure.key for failure in already}]
    without = [row for row in with_it if row.key != last.key]
    before = summarise(with_it, failures=already, resamples=2)["datasets"]["mini"]["video"]
    after = summarise(without, failures=[*already, last], resamples=2)["datasets"]["mini"]["video"]
    assert after["methods"].keys() == before["methods"].keys()
    for name in ("accuracy", "auc_worst_case"):
        for old, new in zip(_parts(before), _parts(after), strict=True):
            assert (old[name]["value"] is None) == (new[name]["value"] is None)
            assert (new[name]["value"] or 0) <= (old[name]["value"] or 0) + 1e-12


def _parts(level):
    parts = (level["overall"], level["mean_over_methods"], *level["methods"].values())
    return [part["metrics"] for part in parts]


def test_without_failures_the_worst_case_is_the_auc(summary):
    for part in _parts(summary["datasets"]["mini"]["video"]):
        assert part["auc_worst_case"] == part["auc"]


def test_people_who_hold_different_methods_are_one_population():
    """Fifteen people hold fifteen sets of methods: each is one of the others' kind, and every interval is wide."""
    methods = ("swap", "mouth", "mesh", "lips")
    held = {
        str(person): {"real", *(name for bit, name in enumerate(methods) if person + 1 >> bit & 1)}
        for person in range(15)
    }
    scores = [row for row in make_scores(methods, 15) if row.method in held[row.identity]]
    video = summarise(scores, resamples=300)["datasets"]["mini"]["video"]
    assert video["overall"]["n_clusters"] == 15
    for metrics_of_part in _parts(video):
        for name, entry in metrics_of_part.items():
            assert entry["high"] - entry["low"] > 0.02, name


def test_clusters_are_drawn_by_class_and_identity():
    """Reals of 12 people, fakes of 12 others: the interval is that of the two classes drawn each by itself."""
    scores = [row for row in make_scores(identities=24) if (row.label == 0) == (int(row.identity) % 2 == 0)]
    assert len({row.identity for row in scores}) == 24
    overall = summarise(scores, seed=3, resamples=200)["datasets"]["mini"]["video"]["overall"]["metrics"][
        "auc"
    ]
    # In the order of the summary: the draws go to the clusters in the order of their names.
    rows = sorted(scores, key=lambda row: row.key)
    expected = bootstrap.bootstrap(
        metrics.auc,
        np.array([row.label for row in rows]),
        np.array([row.score for row in rows]),
        groups=[f"identity {row.identity}" for row in rows],
        resamples=200,
        seed=3,
    )
    assert overall == dataclasses.asdict(expected)


def test_a_method_of_few_people_has_a_value_without_an_interval_and_so_has_the_mean(scores):
    few = [row for row in scores if row.method != "mouth" or row.identity in "0123"]
    video = summarise(few, resamples=100)["datasets"]["mini"]["video"]
    mouth, mean = video["methods"]["mouth"]["metrics"]["auc"], video["mean_over_methods"]["metrics"]["auc"]
    assert mouth["low"] is None
    assert mouth["reason"] == "the fakes are in 4 independent clusters: an interval needs at least 5"
    assert mean["low"] is None
    assert mean["value"] == np.mean([mouth["value"], video["methods"]["swap"]["metrics"]["auc"]["value"]])
    assert mean["reason"] == f"mouth: {mouth['reason']}"
    for part in (video["overall"], video["methods"]["swap"]):
        assert part["metrics"]["auc"]["low"] < part["metrics"]["auc"]["high"]


def test_a_perfect_method_has_no_interval_but_does_not_take_the_mean_s():
    scores = make_scores()
    perfect = [dataclasses.replace(row, score=1.0) if row.method == "swap" else row for row in scores]
    video = summarise(perfect, resamples=100)["datasets"]["mini"]["video"]
    swap, mean = video["methods"]["swap"]["metrics"]["auc"], video["mean_over_methods"]["metrics"]["auc"]
    assert (swap["value"], swap["low"]) == (1.0, None)
    assert "all resamples give 1.000" in swap["reason"]
    assert mean["low"] < mean["value"] < mean["high"]


def test_datasets_stay_apart(scores):
    both = summarise([*scores, *make_scores(dataset="other", seed=1)], seed=0, resamples=200)
    assert list(both["datasets"]) == ["mini", "other"]
    assert both["datasets"]["mini"] == summarise(scores, seed=0, resamples=200)["datasets"]["mini"]


def test_undefined_is_null_with_a_reason_and_json_is_strict(tmp_path, scores):
    reals = [row for row in scores if row.label == 0]
    failed = Failure("mini", "swap", "90", 1, "no face was found")
    cases = {
        "only reals": summarise(reals, resamples=20),
        "method whose videos all failed": summarise(reals, failures=[failed], resamples=20),
        "one identity": summarise([row for row in scores if row.identity == "0"], resamples=20),
        "a dataset of failures": summarise(
            scores, failures=[Failure("x", "swap", "90", 1, "no face")], resamples=20
        ),
    }
    for name, summary in cases.items():
        path = write_json(tmp_path / f"{name}.json", summary)
        assert json.loads(path.read_text()) == summary

    auc = cases["only reals"]["datasets"]["mini"]["video"]["overall"]["metrics"]["auc"]
    assert auc["value"] is None
    assert "no fake" in auc["reason"]
    accuracy = cases["only reals"]["datasets"]["mini"]["video"]["overall"]["metrics"]["accuracy"]
    assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]

    part = cases["method whose videos all failed"]["datasets"]["mini"]["video"]
    assert part["methods"]["swap"]["metrics"]["auc_worst_case"]["value"] == 0
    part = cases["method whose videos all failed"]["datasets"]["mini"]["frame"]
    assert part["methods"]["swap"]["n_failed"] == 1
    assert part["mean_over_methods"]["metrics"]["auc"]["value"] is None
    assert "swap: there is no fake" in part["mean_over_methods"]["metrics"]["auc"]["reason"]

    auc = cases["one identity"]["datasets"]["mini"]["video"]["overall"]["metrics"]["auc"]
    assert auc["value"] in (0.0, 0.5, 1.0)
    assert auc["low"] is None
    assert "the reals are in 1 independent cluster: an interval needs at least 5" in auc["reason"]

    dataset = cases["a dataset of failures"]["datasets"]["x"]
    assert "no real" in dataset["video"]["overall"]["metrics"]["auc"]["reason"]
    assert "empty" in dataset["frame"]["overall"]["metrics"]["auc"]["reason"]


def test_nothing_judged_is_an_error_with_the_reason():
    still = Score("mini", "swap", "90", 0, 1, None, not_judged="nothing moves")
    with pytest.raises(FakedetectError, match="no video was scored; the detector cannot judge any: nothing"):
        summarise([still])


def test_nothing_scored_is_an_error():
    with pytest.raises(FakedetectError, match="no video was scored"):
        summarise([])


def test_nan_cannot_reach_the_file(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "metrics.json", {"auc": math.nan})
    assert not (tmp_path / "metrics.json").exists()
