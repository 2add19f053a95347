"""Builds a dataset by name, checks its splits, and reports what came out."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tqdm import tqdm

from fakedetect_jax.data import schema
from fakedetect_jax.data.index import REPORT, load_index, write_description_digests
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.file_names import as_text, listed
from fakedetect_jax.data_builders.engine.inputs import Input, compare, read_built, read_input, with_states
from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.links import check_links
from fakedetect_jax.data_builders.engine.lock import locked
from fakedetect_jax.data_builders.engine.one_video import make_work
from fakedetect_jax.data_builders.engine.report import account, describe_build, summarise
from fakedetect_jax.data_builders.engine.splits import check_disjoint
from fakedetect_jax.data_builders.engine.trouble import (
    NoRoom,
    Trouble,
    TroubleLog,
    VideosUndone,
    no_room,
    want_of_room,
)
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem
from fakedetect_jax.data_builders.engine.workers import Workers, extract_all
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction

SUMMARY = "build_report.txt"
_UNFINISHED = ".unfinished"


class TooManyFailures(FakedetectError):
    """More videos failed than the user allows, so something is probably wrong with all of them."""


def names() -> list[str]:
    """Return the datasets that have a builder here."""
    root = Path(__file__).parents[1]
    return sorted(path.parent.name for path in root.glob("*/*_dataset_builder.py"))


def create_builder(
    name: str, data_dir: str | Path, *, variant: str = "", **options: Any
) -> FaceSequenceBuilder:
    """Return the builder of a dataset.

    Args:
        name: The dataset's name, or 'dataset/variant'.
        data_dir: Where built datasets lie.
        variant: One of the builder's VARIANTS, '' for the default.
        **options: Further arguments of FaceSequenceBuilder.

    Raises:
        FakedetectError: No such dataset or variant; the message lists the known ones.
    """
    name, _, behind = name.partition("/")
    if name not in names():
        raise FakedetectError(f"unknown dataset {name!r}; there are {names()}")
    if behind and variant not in ("", behind):
        raise FakedetectError(
            f"{name}/{behind} and --variant {variant} name two variants; give only one of them"
        )
    module = importlib.import_module(f"fakedetect_jax.data_builders.{name}.{name}_dataset_builder")
    return module.Builder(data_dir=data_dir, variant=variant or behind, **options)


def check(name: str, *, source: str | Path | None, variant: str = "") -> Listing:
    """List the videos of a download and check their splits without decoding anything.

    Raises:
        SourceError: A file that decides the splits is missing or wrong.
        FakedetectError: The splits share a person.
    """
    return checked_listing(create_builder(name, Path("unused"), source=source, variant=variant))


def build(
    name: str,
    data_dir: str | Path,
    *,
    source: str | Path | None = None,
    variant: str = "",
    extraction: Extraction = Extraction(),  # noqa: B008 (frozen)
    workers: Workers = Workers(),  # noqa: B008 (frozen)
    max_failures: int | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Build a dataset unless it is already there; go on from the finished videos of an earlier, killed build.

    If the videos have changed since it was built, it is built anew, and the earlier one stays until that is done.

    Args:
        name: The dataset's name, or 'dataset/variant'.
        data_dir: Where built datasets lie.
        source: The folder of the download, where the dataset needs one.
        variant: One of the builder's VARIANTS, '' for the default.
        extraction: How faces become crops.
        workers: Who does the work.
        max_failures: Stop when more videos than this have failed; None never stops.

    Returns:
        The folder of the built version, and its build report: the `source`, the `news` (what is new in it), the `notes`
        of the listing, a `summary` row per split and method, and a row for each of `videos`, with the reason if it
        failed and with what of it could not be decoded.

    Raises:
        SourceError: A file that decides the splits is missing or wrong.
        OtherSource: It was built from another download.
        DamagedDataset: The report of the earlier build cannot be read.
        TooManyFailures: The message names the last failed video; failures of earlier starts count.
        BuildLocked: Another build of the dataset is at work.
        NoRoom: The disk is full.
        VideosUndone: Videos are not done for reasons that are not theirs; the next build tries them again.
        FakedetectError: An unknown dataset or option, splits that share a person, or no face in any video.
    """
    builder = create_builder(name, data_dir, source=source, variant=variant, extraction=extraction)
    return prepare(builder, workers=workers, max_failures=max_failures)


def prepare(
    builder: FaceSequenceBuilder,
    *,
    workers: Workers = Workers(),  # noqa: B008 (frozen)
    max_failures: int | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Build with a given builder; see `build`."""
    tfds.disable_progress_bar()  # the videos have one already
    folder = Path(builder.data_dir)
    built = read_built(folder)
    if built and not builder.has_source:
        source = read_input(built, folder).source
        return folder, built | {"news": f"already there: built from {source}; no --source to compare with"}
    listing = checked_listing(builder)
    listing = dataclasses.replace(listing, items=with_states(listing.items))
    made_from = Input(
        as_text(builder.source) if builder.SOURCE_HINT else "",
        {item.key: item.state for item in listing.items},
    )
    if not _news(folder, made_from):
        return folder, _already_there(folder, listing)
    unfinished = _unfinished(builder)
    try:
        with locked(unfinished.with_name(f"{unfinished.name}.lock")):
            # Another build may have ended just before this one got the lock.
            if news := _news(folder, made_from):
                _prepare(builder, listing, made_from, news, unfinished, workers, max_failures)
                return folder, json.loads((folder / REPORT).read_text(encoding="utf-8"))
            return folder, _already_there(folder, listing)
    except NoRoom:
        raise
    except Exception as error:
        if words := want_of_room(error):
            raise no_room(folder.parent, words) from error
        raise
    finally:
        _remove_empty(unfinished.parent)


def checked_listing(builder: FaceSequenceBuilder) -> Listing:
    """Return the videos of a download, with names that can be written, after checks of them, of links and splits."""
    found = builder.listing()
    listing = dataclasses.replace(found, items=[item.in_text() for item in found.items])
    check_items(builder, listing.items)
    if builder.SOURCE_HINT:
        check_links(listing.items, builder.source, builder.LINKED)
    return listing


def _news(folder: Path, made_from: Input) -> str:
    """Return what is new in a build, compared with the dataset in `folder`; '' if nothing is."""
    built = read_built(folder)
    origin = f" from {made_from.source}" if made_from.source else ""
    if built is None:
        return f"built{origin}"
    change = compare(read_input(built, folder), made_from, folder)
    return f"built anew{origin}, as its videos have changed: {change.describe()}" if any(change) else ""


def _already_there(folder: Path, listing: Listing) -> dict[str, Any]:
    news = "already there: its videos have not changed since it was built"
    return (read_built(folder) or {}) | {"news": news, "notes": listing.notes}


def _prepare(
    builder: FaceSequenceBuilder,
    listing: Listing,
    made_from: Input,
    news: str,
    unfinished: Path,
    workers: Workers,
    max_failures: int | None,
) -> None:
    settings = {
        "extraction": builder.extraction.name,
        "format": schema.FORMAT,
        "version": str(builder.version),
    }
    journal = Journal(unfinished, settings)
    journal.sweep()
    log = TroubleLog(unfinished.with_name(f"{unfinished.name}.log"))
    _extract(builder, listing.items, journal, log, workers, max_failures)
    staging = unfinished.with_name(f"{unfinished.name}.records")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staged = builder.staged(staging)
        with contextlib.redirect_stdout(None):  # where TFDS announces a download
            staged.prepare(listing.items, journal)
        fresh = Path(staged.data_dir)
        _write_report(fresh, listing, made_from, news, journal)
        _check_records(staged, fresh)
        _replace(Path(builder.data_dir), fresh, staging / "earlier")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    journal.remove()


def _check_records(builder: FaceSequenceBuilder, folder: Path) -> None:
    entries = [entry for split in builder.info.splits for entry in load_index(folder, split).entries]
    check_disjoint(entries, dataset=builder.name, shared=builder.SHARED_IDENTITIES)


def _write_report(folder: Path, listing: Listing, made_from: Input, news: str, journal: Journal) -> None:
    videos = [account(item, journal.outcome(item)) for item in listing.items]
    report = {
        "source": made_from.source,
        "news": news,
        "notes": listing.notes,
        "summary": summarise(videos),
        "videos": videos,
    }
    (folder / REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
    (folder / SUMMARY).write_text(describe_build(report) + "\n", encoding="utf-8")
    write_description_digests(folder)


def _replace(folder: Path, fresh: Path, aside: Path) -> None:
    """Put a finished build in its place; if the process dies in between, the journal still has every video."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        folder.rename(aside)
    try:
        fresh.rename(folder)
    except BaseException:
        if aside.exists() and not folder.exists():
            aside.rename(folder)
        raise


def check_items(builder: FaceSequenceBuilder, items: list[VideoItem]) -> None:
    """Check that there are videos, each listed once, and that their splits share no person.

    Raises:
        FakedetectError: The message names the video or the person.
    """
    if not items:
        raise FakedetectError(f"{builder.name}: no video in {builder.source}; give {builder.SOURCE_HINT}")
    counts = collections.Counter(item.key for item in items)
    repeated = [key for key, count in counts.items() if count > 1]
    if repeated:
        sources = [item.source for item in items if item.key == repeated[0] and isinstance(item.source, Path)]
        raise FakedetectError(
            f"{builder.name}: the same video is listed twice: {listed(repeated)}; {as_text(repeated[0])} is at "
            f"{' and '.join(map(as_text, sources))}; keep one"
        )
    check_disjoint(items, dataset=builder.name, shared=builder.SHARED_IDENTITIES)


def _unfinished(builder: FaceSequenceBuilder) -> Path:
    """Return the journal's folder; lock and log lie beside it."""
    folder = Path(builder.data_dir)
    root = folder.parents[1] if builder.builder_config is None else folder.parents[2]
    return root / _UNFINISHED / folder.relative_to(root)


def _remove_empty(folder: Path) -> None:
    """Remove a folder in _UNFINISHED and those above it, as far as they are empty."""
    with contextlib.suppress(OSError):
        while folder.parent.name != _UNFINISHED:
            folder.rmdir()
            folder = folder.parent
        folder.rmdir()
        folder.parent.rmdir()


def _extract(
    builder: FaceSequenceBuilder,
    items: list[VideoItem],
    journal: Journal,
    log: TroubleLog,
    workers: Workers,
    max_failures: int | None,
) -> None:
    work = make_work(journal, builder.extraction, type(builder).materialise)
    done = {item.key: journal.outcome(item)["failure"] for item in items if journal.has(item)}
    left = [item for item in items if item.key not in done]
    failures = {key: failure for key, failure in done.items() if failure}
    undone: list[Trouble] = []
    _check_failures(builder, failures, max_failures)
    results = extract_all(left, work, journal, workers)
    bar = tqdm(total=len(items), initial=len(done), desc=builder.name, unit="video")
    # Without the closing, workers would go on after an error, when the lock is free again.
    with contextlib.closing(results), bar:
        for item, trouble in results:
            if trouble and trouble.no_room:
                raise no_room(journal.folder, trouble.no_room)
            if trouble:
                log.add(trouble)
                undone.append(trouble)
            if failure := trouble.reason if trouble else journal.outcome(item)["failure"]:
                failures[item.key] = failure
            bar.set_postfix_str(f"{len(failures)} failed", refresh=False)
            bar.update()
            _check_failures(builder, failures, max_failures)
    if undone:
        raise VideosUndone(
            f"{builder.name}: {len(undone)} of {len(items)} videos are not done, through no fault of their own; the "
            f"last is {undone[-1].key}: {undone[-1].reason}; tracebacks are in {log.path}. Finished videos are kept, "
            "and the same command tries the others again; a video whose file is moved away counts as failed"
        )
    if not any(journal.outcome(item)["tracks"] for item in items):
        reasons = collections.Counter(map(as_text, failures.values())).most_common(3)
        said = "; ".join(f"{reason} ({count} videos)" for reason, count in reasons)
        raise FakedetectError(f"{builder.name}: no face in any video; the reasons: {said}")


def _check_failures(builder: FaceSequenceBuilder, failures: dict[str, str], max_failures: int | None) -> None:
    if max_failures is not None and len(failures) > max_failures:
        key, reason = list(failures.items())[-1]
        raise TooManyFailures(
            f"{builder.name}: {len(failures)} videos failed, more than --max-failures {max_failures}; the last is "
            f"{key}: {reason}. Finished videos are kept for the next build"
        )
