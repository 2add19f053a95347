"""Builds a dataset by name, checks its splits, and says what came out."""

from __future__ import annotations

import collections
import importlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tqdm import tqdm

from data_builders.base import REPORT, FaceSequenceBuilder
from data_builders.execution import Execution, extract_all, make_work
from data_builders.journal import Journal
from data_builders.listing import Listing, VideoItem
from data_builders.report import describe_build
from data_builders.splits import check_disjoint
from fakedetect_jax.data import schema
from fakedetect_jax.data.index import load_index
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction

SUMMARY = "build_report.txt"
_JOURNALS = ".unfinished"


class TooManyFailures(FakedetectError):
    """More videos failed than the user allows: something is wrong with all of them, not with one."""


def names() -> list[str]:
    """Returns the datasets that have a builder here."""
    root = Path(__file__).parent
    return sorted(path.parent.name for path in root.glob("*/*_dataset_builder.py"))


def create_builder(name: str, data_dir: str | Path, **options: Any) -> FaceSequenceBuilder:
    """Returns the builder of a dataset; `options` are those of FaceSequenceBuilder.

    Raises:
      FakedetectError: no such dataset or variant; the message lists the known ones.
    """
    if name not in names():
        raise FakedetectError(f"unknown dataset {name!r}; there are {names()}")
    module = importlib.import_module(f"data_builders.{name}.{name}_dataset_builder")
    return module.Builder(data_dir=data_dir, **options)


def check(name: str, *, source: str | Path | None, variant: str = "") -> Listing:
    """Looks at a download without decoding anything.

    Raises:
      SourceError: a file that decides the splits is missing or wrong.
      FakedetectError: the splits share a person.
    """
    builder = create_builder(name, Path("unused"), source=source, variant=variant)
    listing = builder.listing()
    check_items(builder, listing.items)
    return listing


def build(
    name: str,
    data_dir: str | Path,
    *,
    source: str | Path | None = None,
    variant: str = "",
    extraction: Extraction = Extraction(),  # noqa: B008 (frozen)
    execution: Execution = Execution(),  # noqa: B008 (frozen)
    max_failures: int | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Builds a dataset unless it is there already; goes on from what an earlier, killed build had done.

    Args:
      max_failures: stop when more videos than this have failed; None never does.

    Returns:
      The folder of the built version, and its build report: a `summary` row per split and method, and a row
      for each of `videos` with the reason if it failed.

    Raises:
      SourceError: a file that decides the splits is missing or wrong.
      TooManyFailures: names the last of them.
      FakedetectError: an unknown dataset or option; splits that share a person; not one face in all the videos.
    """
    builder = create_builder(name, data_dir, source=source, variant=variant, extraction=extraction)
    return prepare(builder, execution=execution, max_failures=max_failures)


def prepare(
    builder: FaceSequenceBuilder,
    *,
    execution: Execution = Execution(),  # noqa: B008 (frozen)
    max_failures: int | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Builds with a given builder; see `build`."""
    tfds.disable_progress_bar()  # there is one for the videos already
    folder = Path(builder.data_dir)
    if not (folder / REPORT).exists():
        items = builder.listing().items
        check_items(builder, items)
        journal = _open_journal(builder)
        _extract(builder, items, journal, execution, max_failures)
        builder.prepare(items, journal)
        _check_records(builder, folder)
        report = json.loads((folder / REPORT).read_text())
        (folder / SUMMARY).write_text(describe_build(report) + "\n")
        journal.remove()
    return folder, json.loads((folder / REPORT).read_text())


def check_items(builder: FaceSequenceBuilder, items: list[VideoItem]) -> None:
    """Checks that there are videos, each once, and that their splits share no person.

    Raises:
      FakedetectError: names the video or the person.
    """
    if not items:
        raise FakedetectError(f"{builder.name}: no video at all in {builder.source}. {builder.SOURCE_HINT}")
    counts = collections.Counter(item.key for item in items)
    repeated = [key for key, count in counts.items() if count > 1]
    if repeated:
        raise FakedetectError(f"{builder.name}: the same video is listed twice: {repeated[:5]}")
    check_disjoint(items, dataset=builder.name, shared=builder.SHARED_IDENTITIES)


def _open_journal(builder: FaceSequenceBuilder) -> Journal:
    folder = Path(builder.data_dir)
    root = folder.parents[1] if builder.builder_config is None else folder.parents[2]
    for left_over in folder.parent.glob(f"{folder.name}.incomplete*"):
        shutil.rmtree(left_over)
    settings = {
        "extraction": builder.extraction.name,
        "format": schema.FORMAT,
        "version": str(builder.version),
    }
    journal = Journal(root / _JOURNALS / folder.relative_to(root), settings)
    journal.sweep()
    return journal


def _extract(
    builder: FaceSequenceBuilder,
    items: list[VideoItem],
    journal: Journal,
    execution: Execution,
    max_failures: int | None,
) -> None:
    work = make_work(journal, builder.extraction, type(builder).materialise)
    left = [item for item in items if not journal.has(item)]
    done: Iterable[VideoItem] = extract_all(left, work, journal, execution)
    failures = 0
    progress = tqdm(done, total=len(items), initial=len(items) - len(left), desc=builder.name, unit="video")
    for item in progress:
        failures += bool(journal.outcome(item)["failure"])
        progress.set_postfix_str(f"{failures} failed", refresh=False)
        if max_failures is not None and failures > max_failures:
            raise TooManyFailures(
                f"{builder.name}: {failures} videos failed, more than --max-failures {max_failures}; the last is "
                f"{item.key}: {journal.outcome(item)['failure']}. What is done is kept for the next build"
            )
    tracks = sum(journal.outcome(item)["tracks"] for item in items)
    if not tracks:
        reasons = collections.Counter(journal.outcome(item)["failure"] for item in items)
        raise FakedetectError(
            f"{builder.name}: no face in any video; the reasons: {dict(reasons.most_common(3))}"
        )


def _check_records(builder: FaceSequenceBuilder, folder: Path) -> None:
    entries = [entry for split in builder.info.splits for entry in load_index(folder, split).entries]
    try:
        check_disjoint(entries, dataset=builder.name, shared=builder.SHARED_IDENTITIES)
    except ValueError:
        shutil.rmtree(folder)
        raise
