"""The contact sheet of a built dataset: one self-contained HTML file."""

from __future__ import annotations

import collections
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fakedetect_jax import files
from fakedetect_jax.data.index import Entry, dataset_folder, read_report
from fakedetect_jax.data.schema import REAL
from fakedetect_jax.deployment.page import load_template
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.inspection.distribution import Distribution, distribution
from fakedetect_jax.inspection.quality import MEASURES, Measure
from fakedetect_jax.inspection.survey import Card, Measured, Survey, sample, worst

MEASURED = 2000
"""How many tracks are measured at most."""

_NAMED = 20


class Group(NamedTuple):
    """A sample of the tracks of one method and split, and their `total` number."""

    split: str
    method: str
    total: int
    cards: list[Card]


class Extreme(NamedTuple):
    """A measure, its distribution over the tracks, and the worst of them."""

    measure: Measure
    spread: Distribution | None
    cards: list[Card]


def write_contact_sheet(
    data_dir: str | Path,
    dataset: str,
    out: str | Path,
    *,
    tracks: int = 6,
    seed: int = 0,
    measured: int = MEASURED,
) -> files.AnyPath:
    """Write the contact sheet of a built dataset, atomically, and return its path.

    Args:
        data_dir: Folder of the built datasets.
        dataset: Name, or name/config; the newest version is taken.
        out: The HTML file; its folder is created.
        tracks: How many tracks to show for each split and method, and for each measure.
        seed: Decides the samples.
        measured: How many tracks to measure at most.

    Raises:
        DatasetNotBuilt: The dataset is not in `data_dir`.
        FakedetectError: `tracks` or `measured` is not positive.
    """
    for name, value in (("tracks", tracks), ("measured", measured)):
        if value < 1:
            raise FakedetectError(f"{name}={value}: show and measure at least 1 track")
    folder = dataset_folder(data_dir, dataset)
    report = read_report(folder)
    survey = Survey(folder)
    figures = survey.measure(at_most=measured, seed=seed)
    samples = list(_samples(report["summary"], survey.entries, tracks, seed))
    extremes = [(measure, worst(figures, measure, tracks)) for measure in MEASURES]
    chosen = [entries for *_, entries in samples] + [entries for _, entries in extremes]
    cards = survey.show([entry for entries in chosen for entry in entries])
    # The rows of the build report decide what is counted.
    counts = [name for name in report["summary"][0] if name not in ("split", "method")]
    html = load_template(Path(__file__).with_name("inspect.html.j2")).render(
        dataset=dataset,
        about=_about(folder),
        counts=counts,
        summary=report["summary"],
        totals={name: sum(row[name] for row in report["summary"]) for name in counts},
        failures=group_reasons(report["videos"], "failure"),
        damages=group_reasons(report["videos"], "damage"),
        named=_NAMED,
        groups=[Group(*about, [cards[entry] for entry in entries]) for *about, entries in samples],
        extremes=[
            Extreme(measure, _spread(figures, measure), [cards[entry] for entry in entries])
            for measure, entries in extremes
        ],
        measures=MEASURES,
        n_measured=len(figures),
        n_tracks=len(survey.entries),
        seed=seed,
    )
    return files.write_text(out, html)


def _samples(
    summary: Sequence[dict[str, Any]], entries: Sequence[Entry], count: int, seed: int
) -> Iterator[tuple[str, str, int, list[Entry]]]:
    """Yield, for each row of the summary, split, method, the number of main tracks and a sample of them."""
    for row in summary:
        split, method = row["split"], row["method"]
        members = [entry for entry in entries if (entry.split, entry.method) == (split, method)]
        yield split, method, len(members), sample(members, count, seed)


def _spread(figures: Sequence[Measured], measure: Measure) -> Distribution | None:
    def values(fake: bool) -> np.ndarray:
        chosen = [track.quality for track in figures if (track.entry.method != REAL) == fake]
        return np.array([getattr(quality, measure.name) for quality in chosen], np.float64)

    classes = {"real": values(fake=False), "fake": values(fake=True)}
    return distribution({name: found for name, found in classes.items() if len(found)})


def _about(folder: Path) -> dict[str, str]:
    """Return what the build recorded about itself, by name, in words."""
    about = {"version": folder.name}
    path = folder / "metadata.json"
    if path.exists():
        metadata = json.loads(path.read_text(encoding="utf-8"))
        about |= {name: _in_words(value) for name, value in metadata.items()}
    return {name: value for name, value in about.items() if value}


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, dict):
        return str(value)
    parts = [
        f"{name} ({_in_words(inner)})" if isinstance(inner, dict) else f"{name} {_in_words(inner)}"
        for name, inner in value.items()
    ]
    return ", ".join(parts).replace("_", " ")


class ReasonGroup(NamedTuple):
    """The videos that have one reason, as split/method/video_id."""

    reason: str
    videos: list[str]


def group_reasons(videos: Sequence[Mapping[str, Any]], field: str) -> list[ReasonGroup]:
    """Group the videos of a build report that have a 'failure' or 'damage', by reason, the most common one first."""
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for video in videos:
        if video[field]:
            name = f"{video['split']}/{video['method']}/{video['video_id']}"
            groups[generalise(video[field])].append(name)
    return sorted((ReasonGroup(*group) for group in groups.items()), key=lambda group: -len(group.videos))


def generalise(reason: str) -> str:
    """Remove from a reason what belongs to one video: paths become '…' and numbers 'N'."""
    without_paths = re.sub(r"\S*[/\\][^\s:;,]*", "…", reason)
    return re.sub(r"\b\d+(\.\d+)?\b", "N", without_paths)
