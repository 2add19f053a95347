"""The contact sheet of a built dataset as one HTML file that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fakedetect_jax import files
from fakedetect_jax.data.index import Entry, dataset_folder, read_report
from fakedetect_jax.data.schema import REAL
from fakedetect_jax.deployment.page import load_template
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.inspection.distribution import Distribution, distribution
from fakedetect_jax.inspection.failures import group_failures
from fakedetect_jax.inspection.quality import MEASURES, Measure
from fakedetect_jax.inspection.survey import Card, Measured, Survey, draw, worst

MEASURED = 2000
"""Tracks of which the figures are taken, at most."""

_NAMED_FAILURES = 20
_COUNTS = ("videos", "failed", "tracks", "frames", "seen", "missed")


class Group(NamedTuple):
    """Tracks drawn from one method of one split, and how many there are."""

    split: str
    method: str
    total: int
    cards: list[Card]


class Extreme(NamedTuple):
    """A measure, its spread over the tracks, and the worst of them."""

    measure: Measure
    spread: Distribution | None
    cards: list[Card]


def write_sheet(
    data_dir: str | Path,
    dataset: str,
    out: str | Path,
    *,
    tracks: int = 6,
    seed: int = 0,
    measured: int = MEASURED,
) -> Path:
    """Writes the contact sheet of a built dataset, atomically, and returns its path.

    Args:
      data_dir: where built datasets lie.
      dataset: its name, or name/config; the newest version is taken.
      out: the HTML file; its folder is made.
      tracks: how many are shown per split and method, and per measure.
      seed: of the lots.
      measured: how many tracks are measured, at most.

    Raises:
      DatasetNotBuilt: the dataset is not in `data_dir`.
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
    html = load_template(Path(__file__).with_name("inspect.html.j2")).render(
        dataset=dataset,
        about=_about(folder),
        counts=_COUNTS,
        summary=report["summary"],
        totals={name: sum(row[name] for row in report["summary"]) for name in _COUNTS},
        failures=group_failures(report["videos"]),
        named_failures=_NAMED_FAILURES,
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
    """Yields split, method, how many main tracks they have, and some of these, for each row of the summary."""
    for row in summary:
        split, method = row["split"], row["method"]
        members = [entry for entry in entries if (entry.split, entry.method) == (split, method)]
        yield split, method, len(members), draw(members, count, seed)


def _spread(figures: Sequence[Measured], measure: Measure) -> Distribution | None:
    def values(fake: bool) -> np.ndarray:
        chosen = [track.quality for track in figures if (track.entry.method != REAL) == fake]
        return np.array([getattr(quality, measure.name) for quality in chosen], np.float64)

    classes = {"real": values(fake=False), "fake": values(fake=True)}
    return distribution({name: found for name, found in classes.items() if len(found)})


def _about(folder: Path) -> dict[str, str]:
    """Returns what the build says of itself, name -> value, in words."""
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
