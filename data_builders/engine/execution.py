"""Extracts the faces of many videos into a journal: in this process, in several, or with Beam on a cluster."""

from __future__ import annotations

import collections
import dataclasses
import functools
import multiprocessing
import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2

from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.listing import SourceError, VideoItem
from fakedetect_jax.data_builders.engine.manipulated import main_person
from fakedetect_jax.data_builders.engine.trouble import Trouble
from fakedetect_jax.faces import Extraction, FaceSequence, VideoError, extract_faces

# (item, empty folder of its own) -> a video, or a folder of frames
Materialise = Callable[[VideoItem, Path], Path]
Work = Callable[[VideoItem], Trouble | None]
Done = Generator[tuple[VideoItem, Trouble | None], None, None]

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
) -> Trouble | None:
    """Does one video, unless the journal has it, and writes to the journal what came out.

    What came out is `tracks` and `frames`, of all people; `seen`, the video's frames that were to be kept, and
    `missed`, those of them without the main person; `main` (its number, -1 if there is none), `main_by` ('mask', 'size'
    or ''), and `failure`: why the video itself gives no face, or ''.

    Returns:
      None, or what kept the video from being done though it is not to blame: the journal then knows nothing of it.
    """
    try:
        if not journal.has(item):
            _extract_item(item, journal, extraction, materialise)
    except Exception as error:
        return Trouble.of(item, error)
    return None


def _extract_item(
    item: VideoItem, journal: Journal, extraction: Extraction, materialise: Materialise
) -> None:
    with journal.scratch() as folder:
        try:
            tracks = extract_faces(materialise(item, folder), spool=folder, **vars(extraction))
            outcome = describe(item, tracks)
        except (VideoError, SourceError, cv2.error) as error:
            _check_blame(item, error, folder)
            tracks, outcome = [], failed(f"{type(error).__name__}: {error}")
        journal.write(item, outcome, tracks)


def _check_blame(item: VideoItem, error: Exception, folder: Path) -> None:
    """Raises what an error that seems to be the video's fault hides: OpenCV gives few reasons."""
    if isinstance(error, cv2.error) and getattr(error, "code", None) == cv2.Error.StsNoMem:
        raise error
    # A build that took over from this one's dead parent sweeps the folder away.
    folder.stat()
    if isinstance(item.source, Path) and item.source.is_file():
        with item.source.open("rb") as file:
            while file.read(1 << 20):
                pass


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


def extract_all(items: list[VideoItem], work: Work, journal: Journal, execution: Execution) -> Done:
    """Yields the items as they are done, in any order, each with what `work` returned.

    `work` is `extract_item` with its options. A video whose process dies with it is done: it has failed.
    """
    if execution.runner is not None:
        from fakedetect_jax.data_builders.engine import beam_execution

        return beam_execution.extract_all(items, work, journal, execution)
    if execution.workers == 1:
        return ((item, work(item)) for item in items)
    return _in_processes(items, work, journal, execution.workers)


def _in_processes(items: list[VideoItem], work: Work, journal: Journal, workers: int) -> Done:
    waiting = collections.deque(items)
    while waiting:
        suspects: list[VideoItem] = []
        try:
            yield from _with_pool(waiting, suspects, work, workers)
        except BrokenProcessPool:
            # A decoder took its process down. Each video that was under way is tried again on its own.
            for item in suspects:
                yield item, _alone(item, work, journal)


def _with_pool(
    waiting: collections.deque[VideoItem], under_way: list[VideoItem], work: Work, workers: int
) -> Done:
    """Takes from `waiting` and yields what is done; `under_way` holds what was taken and is not."""
    window = workers * (1 + _QUEUED_PER_WORKER)
    with _pool(workers) as pool:
        pending: collections.deque = collections.deque()
        try:
            while waiting or pending:
                while waiting and len(pending) < window:
                    item = waiting.popleft()
                    under_way.append(item)
                    pending.append((item, pool.submit(work, item)))
                item, future = pending.popleft()
                trouble = future.result()
                under_way.remove(item)
                yield item, trouble
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _alone(item: VideoItem, work: Work, journal: Journal) -> Trouble | None:
    with _pool(1) as pool:
        # A process that dies without a video, for want of a module or of memory, is no video's fault.
        pool.submit(callable, work).result()
        try:
            return pool.submit(work, item).result()
        except BrokenProcessPool:
            pass
    journal.write(item, failed("the process that decoded it died: the file crashes the decoder"), [])
    return None


def _pool(workers: int) -> ProcessPoolExecutor:
    # OpenCV can deadlock after a fork.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_start_worker)


def _start_worker() -> None:
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when the build's ends, which a killed one cannot ask for."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def make_work(journal: Journal, extraction: Extraction, materialise: Materialise) -> Work:
    """Returns `extract_item` of one argument, which other processes can import."""
    return functools.partial(extract_item, journal=journal, extraction=extraction, materialise=materialise)
