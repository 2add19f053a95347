"""From scores to the numbers of metrics.json: per dataset, level and method, each with an interval."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.evaluation import atomic, bootstrap, metrics
from fakedetect_jax.evaluation.scores import REAL, Failure, FailurePolicy, Score, VideoScore, aggregate

METRICS: dict[str, bootstrap.Metric] = {
    "auc": metrics.auc,
    "average_precision": metrics.average_precision,
    "equal_error_rate": metrics.equal_error_rate,
    "accuracy": metrics.accuracy,
    "log_loss": metrics.log_loss,
}
LEVELS = ("video", "frame")
CONFIDENCE = 0.95

_MEASURED = {
    "label": "1 = fake, 0 = real; score = P(fake)",
    "video": "one score a video: mean P(fake) over the clips of its main (lowest-numbered) face track",
    "frame": "P(fake) of each scored frame of the main track, averaged where clips overlap",
    "method": "the fakes of one method against all reals of the dataset",
    "overall": "all fakes against all reals of the dataset",
    "mean_over_methods": "unweighted mean of the methods' values; all methods share each resample",
    "threshold": 0.5,
    "interval": "percentile bootstrap of clusters, drawn within clusters that hold the same methods",
    "cluster": "the identity, or the video where no identity is known",
}
_POLICY = {
    "half": "counted with the score 0.5 at video level; without frames, so not in the frame level",
    "omit": "left out of both levels",
}


@dataclass(frozen=True)
class _Items:
    """The items of one dataset at one level, as parallel arrays [n]."""

    method: np.ndarray
    label: np.ndarray
    score: np.ndarray
    cluster: np.ndarray


def summarise(
    scores: Sequence[Score],
    *,
    failures: Sequence[Failure] = (),
    failure_policy: FailurePolicy = "half",
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """All figures of an evaluation as a tree that JSON can hold.

    `result["datasets"][dataset][level]` has `overall`, `methods[name]` and `mean_over_methods`; each has
    `metrics[name] = {"value", "low", "high"}` (95 % interval) and the counts behind it. What is undefined is
    None, with a `reason`. `result["measured"]` says how it was measured, `result["failures"]` lists the
    videos without a score.

    Args:
        scores: rows of all datasets.
        failures: videos that could not be scored.
        failure_policy: 'half' counts a failed video as 0.5, 'omit' leaves it out.
        seed: of the bootstrap.
        resamples: of the bootstrap.

    Raises:
        ValueError: nothing was scored, or rows contradict each other (see `aggregate`).
    """
    if not scores:
        raise ValueError("no scores to summarise: no video was scored; see the failures for why")
    videos = aggregate(scores, failures=failures, failure_policy=failure_policy)
    datasets = sorted({video.dataset for video in videos} | {failure.dataset for failure in failures})
    measured = _MEASURED | {
        "failure_policy": failure_policy,
        "failed": _POLICY[failure_policy],
        "confidence": CONFIDENCE,
        "resamples": resamples,
        "seed": seed,
    }
    return {
        "measured": measured,
        "datasets": {
            name: {
                level: _level(
                    _items([video for video in videos if video.dataset == name], level),
                    [failure for failure in failures if failure.dataset == name],
                    seed=seed,
                    resamples=resamples,
                )
                for level in LEVELS
            }
            for name in datasets
        },
        "failures": [asdict(failure) for failure in sorted(failures, key=lambda failure: failure.key)],
    }


def write_json(path: str | os.PathLike[str], summary: dict[str, Any]) -> Path:
    """Writes metrics.json atomically; refuses NaN and infinity, which are not JSON."""
    return atomic.write_text(path, json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def _items(videos: list[VideoScore], level: str) -> _Items:
    rows = [
        (video.method, video.label, score, video.cluster)
        for video in videos
        for score in ((video.score,) if level == "video" else video.frame_scores)
    ]
    method, label, score, cluster = zip(*rows, strict=True) if rows else ((), (), (), ())
    return _Items(np.array(method, str), np.array(label, int), np.array(score, float), np.array(cluster, str))


def _level(items: _Items, failures: list[Failure], *, seed: int, resamples: int) -> dict[str, Any]:
    drawn: bootstrap.Resamples | str
    try:
        drawn = bootstrap.draw(items.cluster, items.method, resamples=resamples, seed=seed)
    except metrics.UndefinedMetric as error:
        drawn = str(error)

    failed = [failure.method for failure in failures]
    fakes = sorted({*map(str, items.method), *failed} - {REAL})
    everything = np.ones(items.label.shape, bool)
    methods, values = {}, {}
    for method in fakes:
        where = np.isin(items.method, (REAL, method))
        n_failed = failed.count(REAL) + failed.count(method)
        methods[method], values[method] = _subset(items, where, drawn, n_failed)
    return {
        "overall": _subset(items, everything, drawn, len(failures))[0],
        "methods": methods,
        "mean_over_methods": {"n_methods": len(fakes), "metrics": _mean(methods, values)},
    }


def _subset(
    items: _Items, where: np.ndarray, drawn: bootstrap.Resamples | str, n_failed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The summary of the items `where`, and each metric's replicates [r] for the mean over methods."""
    entries, values = {}, {}
    for name, metric in METRICS.items():
        entries[name], replicates = _measure(metric, items, where, drawn)
        if replicates is not None:
            values[name] = replicates
    return {
        "n_real": int(np.sum(items.label[where] == 0)),
        "n_fake": int(np.sum(items.label[where] == 1)),
        "n_failed": n_failed,
        "n_clusters": len(np.unique(items.cluster[where])),
        "metrics": entries,
    }, values


def _measure(
    metric: bootstrap.Metric, items: _Items, where: np.ndarray, drawn: bootstrap.Resamples | str
) -> tuple[dict[str, Any], np.ndarray | None]:
    try:
        value = float(metric(items.label[where], items.score[where]))
    except metrics.UndefinedMetric as error:
        return _undefined(None, str(error)), None
    if isinstance(drawn, str):
        return _undefined(value, drawn), None
    values = bootstrap.replicates(metric, items.label, items.score, drawn, where=where)
    return asdict(bootstrap.percentile_interval(value, values, confidence=CONFIDENCE)), values


def _undefined(value: float | None, reason: str) -> dict[str, Any]:
    return {"value": value, "low": None, "high": None, "reason": reason}


def _mean(methods: dict[str, dict[str, Any]], values: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Mean over the methods of each metric; undefined as soon as one method's value is."""
    means = {}
    for name in METRICS:
        entries = {method: summary["metrics"][name] for method, summary in methods.items()}
        known = [entry["value"] for entry in entries.values() if entry["value"] is not None]
        mean = float(np.mean(known)) if known and len(known) == len(entries) else None
        reasons = [f"{method}: {entry['reason']}" for method, entry in entries.items() if "reason" in entry]
        if mean is None or reasons:
            means[name] = _undefined(mean, "; ".join(reasons) or "there is no fake method")
        else:
            spread = np.mean([values[method][name] for method in methods], axis=0)
            means[name] = asdict(bootstrap.percentile_interval(mean, spread, confidence=CONFIDENCE))
    return means
