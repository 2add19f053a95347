"""The numbers of metrics.json: per dataset, level and method, each with an interval."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fakedetect_jax import files
from fakedetect_jax.data.schema import REAL
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation import bootstrap, metrics
from fakedetect_jax.evaluation.scores import Failure, Score, VideoScore, aggregate
from fakedetect_jax.files import AnyPath, PathLike


@dataclass(frozen=True)
class Measure:
    """A metric, and how it counts a failed video: as undecided (0.5), or as wrong as a score can be."""

    metric: bootstrap.Metric
    failure_is_wrong: bool = False


METRICS = {
    "auc": Measure(metrics.auc),
    "auc_worst_case": Measure(metrics.auc, failure_is_wrong=True),
    "average_precision": Measure(metrics.average_precision),
    "equal_error_rate": Measure(metrics.equal_error_rate),
    "accuracy": Measure(metrics.accuracy, failure_is_wrong=True),
    "log_loss": Measure(metrics.log_loss),
}
LEVELS = ("video", "frame")
CONFIDENCE = 0.95

# Below and above every P(fake): a failed fake loses against every real, and a failed real against every fake.
_WRONG_FAKE, _WRONG_REAL = -1.0, 2.0

_MEASURED = {
    "label": "1 = fake, 0 = real; score = P(fake)",
    "video": "one score a video: mean P(fake) over the clips of its main person, in all shots",
    "frame": "P(fake) of each scored frame of the main person, averaged where clips overlap",
    "method": "the fakes of one method against all reals of the dataset",
    "overall": "all fakes against all reals of the dataset",
    "mean_over_methods": "unweighted mean of the methods' values; all methods share each resample",
    "threshold": metrics.THRESHOLD,
    "failed": "a video that could not be read, has no face, or cannot be judged by the detector: at video level a "
    "wrong verdict in the accuracy, ranked as wrongly as can be in the worst-case AUC, and the score 0.5 in all other "
    "figures; without frames, so not in the frame level",
    "interval": "percentile bootstrap of clusters, drawn among those with reals only, with fakes only, and with "
    "both; resamples without a class are rejected; no interval where a class is in fewer than "
    f"{bootstrap.MIN_CLUSTERS} clusters or all resamples give one value",
    "cluster": "the identity, or the video where no identity is known",
}


@dataclass(frozen=True)
class _Items:
    """The items of one dataset at one level, as parallel arrays [n]."""

    method: np.ndarray
    label: np.ndarray
    score: np.ndarray
    cluster: np.ndarray
    failed: np.ndarray

    def scores_for(self, measure: Measure) -> np.ndarray:
        """Return the scores [n], with those of failed videos as `measure` counts them."""
        if not measure.failure_is_wrong:
            return self.score
        return np.where(self.failed, np.where(self.label == 1, _WRONG_FAKE, _WRONG_REAL), self.score)


def summarise(
    scores: Sequence[Score],
    *,
    failures: Sequence[Failure] = (),
    seed: int = 0,
    resamples: int = 1000,
) -> dict[str, Any]:
    """Return all figures of an evaluation as a tree that JSON can hold.

    `result["datasets"][dataset][level]` has `overall`, `methods[name]` and `mean_over_methods`; each has
    `metrics[name] = {"value", "low", "high", "rejected"}` (95 % interval, and how many resamples lacked a class)
    and the counts behind it. An undefined value is None, with a `reason`. `result["measured"]` says how it was
    measured, and `result["failures"]` and `result["not_judged"]` list the videos without a score: those that the
    build could not use, and those that the detector cannot judge.

    Args:
        scores: rows of all datasets.
        failures: videos that could not be scored.
        seed: seed of the bootstrap.
        resamples: number of bootstrap resamples.

    Raises:
        FakedetectError: nothing was scored, or rows contradict each other (see `aggregate`).
    """
    videos = aggregate(scores, failures=failures)
    not_judged = _not_judged(videos)
    if all(video.failed for video in videos):
        why = (
            f"the detector cannot judge any: {not_judged[0].reason}"
            if not_judged
            else "see the failures for why"
        )
        raise FakedetectError(f"no scores to summarise: no video was scored; {why}")
    datasets = sorted({video.dataset for video in videos})
    return {
        "measured": _MEASURED | {"confidence": CONFIDENCE, "resamples": resamples, "seed": seed},
        "datasets": {
            name: {
                level: _level(
                    _items([video for video in videos if video.dataset == name], level),
                    level,
                    {
                        "n_failed": [failure.method for failure in failures if failure.dataset == name],
                        "n_not_judged": [video.method for video in not_judged if video.dataset == name],
                    },
                    seed=seed,
                    resamples=resamples,
                )
                for level in LEVELS
            }
            for name in datasets
        },
        "failures": [asdict(failure) for failure in sorted(failures, key=lambda failure: failure.key)],
        "not_judged": [asdict(video) for video in not_judged],
    }


def write_json(path: PathLike, summary: dict[str, Any]) -> AnyPath:
    """Write metrics.json atomically; refuse NaN and infinity, which are not JSON."""
    return files.write_text(path, json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def _not_judged(videos: list[VideoScore]) -> list[Failure]:
    return [
        Failure(*video.key, video.label, video.not_judged, video.identity)
        for video in videos
        if video.not_judged
    ]


def _items(videos: list[VideoScore], level: str) -> _Items:
    rows = [
        (video.method, video.label, score, video.cluster, video.failed)
        for video in videos
        for score in ((video.score,) if level == "video" else video.frame_scores)
    ]
    method, label, score, cluster, failed = zip(*rows, strict=True) if rows else ((),) * 5
    return _Items(
        np.array(method, str),
        np.array(label, int),
        np.array(score, float),
        np.array(cluster, str),
        np.array(failed, bool),
    )


def _level(
    items: _Items, level: str, unscored: dict[str, list[str]], *, seed: int, resamples: int
) -> dict[str, Any]:
    """Return the figures of one level; `unscored` has, by the name of their count, the methods of unscored videos."""
    drawn = bootstrap.draw(items.cluster, items.label, resamples=resamples, seed=seed)
    # A failed video has no frames, so frames have no worst case.
    measures = {name: one for name, one in METRICS.items() if level == "video" or name != "auc_worst_case"}
    fakes = sorted({*map(str, items.method), *itertools.chain(*unscored.values())} - {REAL})
    everything = np.ones(items.label.shape, bool)
    methods, values = {}, {}
    for method in fakes:
        where = np.isin(items.method, (REAL, method))
        counts = {name: of.count(REAL) + of.count(method) for name, of in unscored.items()}
        methods[method], values[method] = _subset(items, where, drawn, measures, counts)
    counts = {name: len(of) for name, of in unscored.items()}
    return {
        "overall": _subset(items, everything, drawn, measures, counts)[0],
        "methods": methods,
        "mean_over_methods": {
            "n_methods": len(fakes),
            "metrics": {name: _mean(name, methods, values) for name in measures},
        },
    }


def _subset(
    items: _Items,
    where: np.ndarray,
    drawn: bootstrap.Resamples,
    measures: dict[str, Measure],
    unscored: dict[str, int],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the summary of the items `where`, and each metric's replicates [r] for the mean over methods."""
    entries, values = {}, {}
    for name, measure in measures.items():
        entries[name], replicates = _measure(measure, items, where, drawn)
        if replicates is not None:
            values[name] = replicates
    return {
        "n_real": int(np.sum(items.label[where] == 0)),
        "n_fake": int(np.sum(items.label[where] == 1)),
        **unscored,
        "n_clusters": len(np.unique(items.cluster[where])),
        "metrics": entries,
    }, values


def _measure(
    measure: Measure, items: _Items, where: np.ndarray, drawn: bootstrap.Resamples
) -> tuple[dict[str, Any], np.ndarray | None]:
    scores = items.scores_for(measure)
    value = None
    try:
        value = float(measure.metric(items.label[where], scores[where]))
        values = bootstrap.replicates(measure.metric, items.label, scores, drawn, where=where)
    except metrics.UndefinedMetric as error:
        return _undefined(value, str(error)), None
    return _entry(value, values), values


def _entry(value: float, values: np.ndarray) -> dict[str, Any]:
    try:
        return asdict(bootstrap.percentile_interval(value, values, confidence=CONFIDENCE))
    except metrics.UndefinedMetric as error:
        return _undefined(value, str(error))


def _undefined(value: float | None, reason: str) -> dict[str, Any]:
    return {"value": value, "low": None, "high": None, "reason": reason}


def _mean(
    name: str, methods: dict[str, dict[str, Any]], values: dict[str, dict[str, np.ndarray]]
) -> dict[str, Any]:
    """Return one metric's mean over the methods; it lacks a value or an interval if any method lacks it.

    A method whose resamples all give one value has no interval of its own but takes part in the mean's.
    """
    entries = {method: summary["metrics"][name] for method, summary in methods.items()}
    if not entries:
        return _undefined(None, "there is no fake method")
    measured = [entry["value"] for entry in entries.values()]
    mean = None if None in measured else float(np.mean(measured))
    reasons = [
        f"{method}: {entry['reason']}" for method, entry in entries.items() if name not in values[method]
    ]
    if mean is None or reasons:
        return _undefined(mean, "; ".join(reasons))
    return _entry(mean, np.mean([values[method][name] for method in methods], axis=0))
