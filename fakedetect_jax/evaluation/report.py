"""The evaluation as one self-contained HTML file: figures, clips and how it was measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from fakedetect_jax import files
from fakedetect_jax.data.schema import REAL
from fakedetect_jax.deployment.page import load_template
from fakedetect_jax.evaluation import figures, metrics
from fakedetect_jax.evaluation.gallery import GalleryItem, choose, film_strip
from fakedetect_jax.evaluation.scores import Failure, Score, VideoScore, aggregate
from fakedetect_jax.evaluation.summary import LEVELS
from fakedetect_jax.files import AnyPath

REPORT = "report.html"
_NAMES = {
    "auc": ("AUC", "area under the ROC curve; 1 is perfect, 0.5 is chance"),
    "auc_worst_case": ("AUC, worst case", "the AUC if failed videos are ranked as wrongly as can be"),
    "average_precision": ("AP", "average precision; rises with the share of fakes"),
    "equal_error_rate": ("EER", "equal error rate; 0 is perfect, 0.5 is chance"),
    "accuracy": (
        "Accuracy",
        f"right verdicts at the threshold {metrics.THRESHOLD}; a failed video is a wrong one",
    ),
    "log_loss": ("Log loss", "natural logarithm; lower is better, 0.693 is an undecided 0.5"),
}
# Percentile intervals from so few independent units come out too narrow: docs/evaluation.md has figures.
_FEW_CLUSTERS = 20


@dataclass(frozen=True)
class Context:
    """The facts about an evaluation that its numbers do not show.

    Attributes:
        trained_on: a plain phrase, as in "real clips of 12 people; fakes made by self-blending".
        tested_on: a plain phrase, as in "three manipulation methods and 8 people that training never saw".
        provenance: name -> value, shown as a list: version, step, seed, config name, date, device.
        config: the full configuration as text, shown folded.
    """

    trained_on: str
    tested_on: str
    provenance: Mapping[str, object] = field(default_factory=dict)
    config: str = ""


def write_report(
    folder: AnyPath,
    *,
    summary: Mapping[str, Any],
    scores: Sequence[Score],
    gallery: Sequence[GalleryItem],
    title: str,
    context: Context,
) -> AnyPath:
    """Write `report.html` into `folder`, atomically, and return its path.

    Args:
        folder: made when missing.
        summary: the result of `summarise` for these scores.
        scores: the rows, for curves and histograms.
        gallery: videos to choose the shown ones from; `choose` names those that are needed.
        title: heading of the page.
        context: training, test and provenance in words.
    """
    videos = aggregate(scores, failures=[Failure(**row) for row in summary["failures"]])
    sections = [
        _section(name, levels, [video for video in videos if video.dataset == name])
        for name, levels in summary["datasets"].items()
    ]
    html = load_template(Path(__file__).with_name("report.html.j2")).render(
        title=title,
        context=context,
        sections=sections,
        groups=_gallery(gallery),
        failures=summary["failures"],
        not_judged=summary["not_judged"],
        measured=summary["measured"],
        names=_NAMES,
        dashes=figures.DASHES,
        series=figures.SERIES,
        threshold=metrics.THRESHOLD,
        few_clusters=_FEW_CLUSTERS,
    )
    return files.write_text(folder / REPORT, html)


def _section(name: str, levels: Mapping[str, Any], videos: list[VideoScore]) -> dict[str, Any]:
    methods = list(levels["video"]["methods"])
    return {
        "name": name,
        "levels": levels,
        "columns": {level: _columns(part["overall"]) for level, part in levels.items()},
        "reasons": {level: _reasons(part) for level, part in levels.items()},
        "methods": methods,
        "curves": {level: _curves(methods, videos, level) for level in LEVELS},
        "histograms": {
            method: Markup(
                figures.histogram(_points(videos, REAL, "video"), _points(videos, method, "video"))
            )
            for method in methods
        },
    }


def _columns(overall: Mapping[str, Any]) -> list[str]:
    """Return the metrics of a table; the worst case is shown only if videos without a score are to be ranked."""
    unscored = overall["n_failed"] + overall["n_not_judged"]
    return [name for name in overall["metrics"] if unscored or name != "auc_worst_case"]


def _reasons(part: Mapping[str, Any]) -> list[str]:
    """Return why figures of one level lack a value or an interval, each reason once for a row of the table."""
    rows = {
        **part["methods"],
        "mean over methods": part["mean_over_methods"],
        "all fakes together": part["overall"],
    }
    found = [
        f"{row}: {entry['reason']}"
        for row, content in rows.items()
        for entry in content["metrics"].values()
        if "reason" in entry
    ]
    return list(dict.fromkeys(found))


def _points(videos: list[VideoScore], method: str, level: str) -> np.ndarray:
    chosen = [video for video in videos if video.method == method]
    if level == "video":
        return np.array([video.score for video in chosen], np.float64)
    return np.array([score for video in chosen for score in video.frame_scores], np.float64)


def _curves(methods: list[str], videos: list[VideoScore], level: str) -> Markup | None:
    """Return the ROC figure of one level, or None if reals or a method's fakes are missing there."""
    real = _points(videos, REAL, level)
    fakes = [_points(videos, method, level) for method in methods]
    if not (len(real) and fakes and all(map(len, fakes))):
        return None
    overall = _curve(real, np.concatenate(fakes)) if len(fakes) > 1 else None
    # Safe as markup: matplotlib drew it, and it holds no text of the user.
    return Markup(figures.roc([_curve(real, fake) for fake in fakes], overall))


def _curve(real: np.ndarray, fake: np.ndarray) -> metrics.RocCurve:
    labels = np.repeat([0, 1], [len(real), len(fake)])
    return metrics.roc_curve(labels, np.concatenate([real, fake]))


def _gallery(items: Sequence[GalleryItem]) -> list[dict[str, Any]]:
    choice = choose(items)
    about = [
        ("Sure and right", "the most confident correct verdicts, reals and fakes in turn", choice.right),
        ("Sure and wrong", "the most confident errors: look here first", choice.wrong),
        ("Least sure", f"the scores closest to {metrics.THRESHOLD}", choice.uncertain),
    ]
    return [
        {
            "title": title,
            "note": note,
            "cards": [{"item": item, "image": film_strip(item.frames)} for item in shown],
        }
        for title, note, shown in about
    ]
