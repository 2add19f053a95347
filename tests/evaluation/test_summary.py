"""The tree of metrics.json: subsets, counts, failures, undefined values."""

import json
import math

import numpy as np
import pytest
import sklearn.metrics

from fakedetect_jax.evaluation import metrics
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
        for name in METRICS:
            entries = [part["methods"][method]["metrics"][name] for method in ("swap", "mouth")]
            mean = part["mean_over_methods"]["metrics"][name]
            assert mean["value"] == pytest.approx(np.mean([entry["value"] for entry in entries]))
            assert mean["low"] <= mean["value"] <= mean["high"]
            # Averaging cannot widen: at most the mean of the widths, up to quantile noise.
            widths = [entry["high"] - entry["low"] for entry in entries]
            assert mean["high"] - mean["low"] <= 1.1 * np.mean(widths)


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


def test_failures_count_one_half_or_nothing(scores):
    failures = [
        Failure("mini", "swap", "90", 1, "no face was found", identity="90"),
        Failure("mini", "real", "91", 0, "the file is truncated", identity="91"),
    ]
    half = summarise(scores, failures=failures, resamples=50)
    omit = summarise(scores, failures=failures, failure_policy="omit", resamples=50)
    for summary, extra in ((half, 1), (omit, 0)):
        methods = summary["datasets"]["mini"]["video"]["methods"]
        assert [(methods[name]["n_real"], methods[name]["n_fake"]) for name in ("swap", "mouth")] == [
            (6 + extra, 6 + extra),
            (6 + extra, 6),
        ]
        assert [methods[name]["n_failed"] for name in ("swap", "mouth")] == [2, 1]
        assert [failure["video_id"] for failure in summary["failures"]] == ["91", "90"]
        assert summary["datasets"]["mini"]["frame"]["overall"]["n_fake"] == 36
    rows = [row for row in scores if row.method in ("real", "swap")]
    expected = metrics.log_loss(
        np.array([*(row.label for row in rows), 1, 0]), np.array([*(row.score for row in rows), 0.5, 0.5])
    )
    found = half["datasets"]["mini"]["video"]["methods"]["swap"]["metrics"]["log_loss"]["value"]
    assert found == pytest.approx(expected)


def test_datasets_stay_apart(scores):
    both = summarise([*scores, *make_scores(dataset="other", seed=1)], seed=0, resamples=200)
    assert list(both["datasets"]) == ["mini", "other"]
    assert both["datasets"]["mini"] == summarise(scores, seed=0, resamples=200)["datasets"]["mini"]


def test_undefined_is_null_with_a_reason_and_json_is_strict(tmp_path, scores):
    reals = [row for row in scores if row.label == 0]
    failed = Failure("mini", "swap", "90", 1, "no face was found")
    cases = {
        "only reals": summarise(reals, resamples=20),
        "method whose videos all failed": summarise(
            reals, failures=[failed], failure_policy="omit", resamples=20
        ),
        "one identity": summarise([row for row in scores if row.identity == "0"], resamples=20),
        "a dataset of failures": summarise(
            scores, failures=[Failure("x", "swap", "90", 1, "no face")], failure_policy="omit", resamples=20
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
    assert part["methods"]["swap"]["n_failed"] == 1
    assert part["mean_over_methods"]["metrics"]["auc"]["value"] is None
    assert "swap: there is no fake" in part["mean_over_methods"]["metrics"]["auc"]["reason"]

    auc = cases["one identity"]["datasets"]["mini"]["video"]["overall"]["metrics"]["auc"]
    assert auc["value"] in (0.0, 0.5, 1.0)
    assert auc["low"] is None
    assert "at least two" in auc["reason"]

    assert (
        "empty"
        in cases["a dataset of failures"]["datasets"]["x"]["video"]["overall"]["metrics"]["auc"]["reason"]
    )


def test_nothing_scored_is_an_error():
    with pytest.raises(ValueError, match="no video was scored"):
        summarise([])


def test_nan_cannot_reach_the_file(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "metrics.json", {"auc": math.nan})
    assert not (tmp_path / "metrics.json").exists()
