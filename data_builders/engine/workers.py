"""Who does the work on many videos: this process, a pool of processes, or Beam on a cluster."""

from __future__ import annotations

import collections
import dataclasses
import json
import multiprocessing
import os
import threading
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2

from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.one_video import Work, failed
from fakedetect_jax.data_builders.engine.trouble import Trouble
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.errors import FakedetectError

Done = Generator[tuple[VideoItem, Trouble | None], None, None]

# Enough to keep every worker busy, few enough that a crash puts few videos under suspicion.
_QUEUED_PER_WORKER = 2
_RUNNERS = {
    "direct": "DirectRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "dataflow": "DataflowRunner",
}
_TROUBLES = "troubles"


@dataclasses.dataclass(frozen=True)
class Workers:
    """Who does the work.

    Attributes:
        processes: The number of processes on this machine; 1 means this process itself.
        runner: None, or the name of a Beam runner ('direct', 'flink', 'spark', 'dataflow').
        beam_options: Further options of the runner, as on its command line.
    """

    processes: int = 1
    runner: str | None = None
    beam_options: tuple[str, ...] = ()


def extract_all(items: list[VideoItem], work: Work, journal: Journal, workers: Workers) -> Done:
    """Yield the items as they are done, in any order, each with what `work` returned.

    A video whose process dies with it is done: it has failed.

    Raises:
        FakedetectError: The runner is unknown, or Beam is not installed.
    """
    if workers.runner is not None:
        return _with_beam(items, work, journal, workers)
    if workers.processes == 1:
        return ((item, work(item)) for item in items)
    return _in_processes(items, work, journal, workers.processes)


def _in_processes(items: list[VideoItem], work: Work, journal: Journal, processes: int) -> Done:
    waiting = collections.deque(items)
    while waiting:
        suspects: list[VideoItem] = []
        try:
            yield from _with_pool(waiting, suspects, work, processes)
        except BrokenProcessPool:
            # A decoder took its process down. Each video that was under way is tried again on its own.
            for item in suspects:
                yield item, _alone(item, work, journal)


def _with_pool(
    waiting: collections.deque[VideoItem], under_way: list[VideoItem], work: Work, processes: int
) -> Done:
    """Take items from `waiting` and yield those that are done; `under_way` holds those in between."""
    window = processes * (1 + _QUEUED_PER_WORKER)
    with _pool(processes) as pool:
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
        # If a process dies without a video, for lack of a module or of memory, no video is to blame.
        pool.submit(callable, work).result()
        try:
            return pool.submit(work, item).result()
        except BrokenProcessPool:
            pass
    journal.write(item, failed("the process that decoded it died: the file crashes the decoder"), [])
    return None


def _pool(processes: int) -> ProcessPoolExecutor:
    # OpenCV can deadlock after a fork.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=_start_worker)


def _start_worker() -> None:
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the build's process ends: a killed build cannot ask for it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _with_beam(items: list[VideoItem], work: Work, journal: Journal, workers: Workers) -> Done:
    """Run a pipeline to its end, then yield the items. All workers must see the journal under the same path."""
    if workers.runner not in _RUNNERS:
        raise FakedetectError(f"runner {workers.runner!r} is unknown; choose one of {sorted(_RUNNERS)}")
    try:
        import apache_beam as beam
        from apache_beam.io import WriteToText
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise FakedetectError("a runner needs Beam: pip install 'fakedetect_jax[beam]'") from error
    options = [f"--runner={_RUNNERS[workers.runner]}", *workers.beam_options]
    if workers.runner == "direct":
        # Threads would share one decoder's lock; processes do not.
        options += [f"--direct_num_workers={workers.processes}", "--direct_running_mode=multi_processing"]
    with journal.scratch() as folder:
        with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
            # Without a reshuffle, a runner may fuse creation and work into one bundle on one worker.
            _ = (
                pipeline
                | "Videos" >> beam.Create(items)
                | "Spread" >> beam.Reshuffle()
                | "Extract" >> beam.Map(work)
                | "Troubles" >> beam.Filter(lambda trouble: trouble is not None)
                | "As text" >> beam.Map(json.dumps)
                | "Collect" >> WriteToText(os.fspath(folder / _TROUBLES))
            )
        troubles = _read_troubles(folder)
    for item in items:
        yield item, troubles.get(item.key)


def _read_troubles(folder: Path) -> dict[str, Trouble]:
    lines = [line for path in folder.glob(f"{_TROUBLES}*") for line in path.read_text().splitlines()]
    return {trouble.key: trouble for line in lines for trouble in [Trouble(*json.loads(line))]}
