"""Extracts the faces of many videos into a journal: in this process, in several, or with Beam on a cluster."""

from __future__ import annotations

import collections
import dataclasses
import errno
import functools
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2

from data_builders.journal import Journal
from data_builders.listing import SourceError, VideoItem
from data_builders.manipulated import main_person
from fakedetect_jax.faces import Extraction, FaceSequence, VideoError, extract

# (item, empty folder of its own) -> a video, or a folder of frames
Materialise = Callable[[VideoItem, Path], Path]
Work = Callable[[VideoItem], dict[str, Any]]

# Enough to keep every worker busy, few enough that a crash leaves few under suspicion.
_QUEUED_PER_WORKER = 2


@dataclasses.dataclass(frozen=True)
class Execution:
    """Where the work is done.

    Attributes:
      workers: processes of this machine; 1 works in this one.
      runner: None, or the name of a Beam runner ('direct', 'flink', 'spark', 'dataflow').
      beam_options: further options of the runner, as on its command line.
    """

    workers: int = 1
    runner: str | None = None
    beam_options: tuple[str, ...] = ()


def extract_item(
    item: VideoItem, *, journal: Journal, extraction: Extraction, materialise: Materialise
) -> dict[str, Any]:
    """Does one video, unless the journal has it, and returns what came out.

    Returns:
      `tracks` and `frames`, of all people; `seen`, the video's frames that were to be kept, and `missed`, those of
      them without the main person; `main` (its number, -1 if there is none), `main_by` ('mask', 'size' or ''), and
      `failure`, the reason or ''.

    Raises:
      OSError: no room on the disk, which is not the video's fault.
    """
    if journal.has(item):
        return journal.outcome(item)
    with journal.scratch() as folder:
        try:
            tracks = extract(materialise(item, folder), spool=folder, **vars(extraction))
            outcome = describe(item, tracks)
        except (VideoError, SourceError, OSError, cv2.error) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            tracks, outcome = [], failed(f"{type(error).__name__}: {error}")
        journal.write(item, outcome, tracks)
    return outcome


def describe(item: VideoItem, tracks: list[FaceSequence]) -> dict[str, Any]:
    """The outcome of a video that could be read."""
    if not tracks:
        return failed("no face found")
    main, known_by = main_person(tracks, item.mask)
    seen = tracks[0].video_frames
    return {
        "tracks": len(tracks),
        "frames": sum(len(track) for track in tracks),
        "seen": seen,
        "missed": seen - sum(len(track) for track in tracks if track.person == main),
        "main": main,
        "main_by": known_by,
        "failure": "",
    }


def failed(reason: str) -> dict[str, Any]:
    """The outcome of a video without any face track."""
    nothing = dict.fromkeys(("tracks", "frames", "seen", "missed"), 0)
    return nothing | {"main": -1, "main_by": "", "failure": reason}


def extract_all(
    items: list[VideoItem], work: Work, journal: Journal, execution: Execution
) -> Iterator[VideoItem]:
    """Yields the items as they are done, in any order; `work` is `extract_item` with its options.

    Raises:
      OSError: no room on the disk; what was done stays done.
    """
    if execution.runner is not None:
        from data_builders import beam_execution

        return beam_execution.extract_all(items, work, execution)
    if execution.workers == 1:
        return _in_this_process(items, work)
    return _in_processes(items, work, journal, execution.workers)


def _in_this_process(items: list[VideoItem], work: Work) -> Iterator[VideoItem]:
    for item in items:
        work(item)
        yield item


def _in_processes(items: list[VideoItem], work: Work, journal: Journal, workers: int) -> Iterator[VideoItem]:
    waiting = collections.deque(items)
    while waiting:
        suspects: list[VideoItem] = []
        try:
            for item in _with_pool(waiting, suspects, work, workers):
                yield item
        except BrokenProcessPool:
            # A decoder took its process down. Each video that was under way is tried again on its own.
            for item in suspects:
                _alone(item, work, journal)
                yield item


def _with_pool(
    waiting: collections.deque[VideoItem], under_way: list[VideoItem], work: Work, workers: int
) -> Iterator[VideoItem]:
    """Takes from `waiting` and yields what is done; `under_way` holds what was taken and is not."""
    window = workers * (1 + _QUEUED_PER_WORKER)
    # OpenCV can deadlock after a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_use_one_thread) as pool:
        pending: collections.deque = collections.deque()
        try:
            while waiting or pending:
                while waiting and len(pending) < window:
                    item = waiting.popleft()
                    under_way.append(item)
                    pending.append((item, pool.submit(work, item)))
                item, future = pending.popleft()
                future.result()
                under_way.remove(item)
                yield item
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _alone(item: VideoItem, work: Work, journal: Journal) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_use_one_thread) as pool:
        # A process that dies without a video, for want of a module or of memory, is no video's fault.
        pool.submit(callable, work).result()
        try:
            pool.submit(work, item).result()
            return
        except BrokenProcessPool:
            pass
    journal.write(item, failed("the process that decoded it died: the file crashes the decoder"), [])


def _use_one_thread() -> None:
    cv2.setNumThreads(1)


def make_work(journal: Journal, extraction: Extraction, materialise: Materialise) -> Work:
    """Returns `extract_item` of one argument, which other processes can import."""
    return functools.partial(extract_item, journal=journal, extraction=extraction, materialise=materialise)
