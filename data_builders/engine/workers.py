"""Who does the work on many videos: processes of this machine, or Beam on a cluster."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path

from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.one_video import Work
from fakedetect_jax.data_builders.engine.processes import Done, in_processes
from fakedetect_jax.data_builders.engine.trouble import Trouble
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.errors import FakedetectError

# Videos for which Beam's workers start one process, which takes about a second.
_AT_ONCE = 8
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
        processes: The number of processes on this machine that decode. 0 means that this process does, which a debugger
            can follow; then a video that crashes or hangs the decoder does the same to the build.
        runner: None, or the name of a Beam runner ('direct', 'flink', 'spark', 'dataflow').
        beam_options: Further options of the runner, as on its command line.
        frame_timeout: Seconds without a new frame after which a video has failed.
    """

    processes: int = 1
    runner: str | None = None
    beam_options: tuple[str, ...] = ()
    frame_timeout: float = 600.0


def extract_all(items: list[VideoItem], work: Work, journal: Journal, workers: Workers) -> Done:
    """Yield the items as they are done, in any order, each with what `work` returned.

    Raises:
        FakedetectError: The runner is unknown, Beam is not installed, or a number is out of range.
    """
    if workers.processes < 0:
        raise FakedetectError(
            f"--workers {workers.processes}: give 1 or more, or 0 for no process but this one"
        )
    if not workers.frame_timeout > 0:
        raise FakedetectError(f"--frame-timeout {workers.frame_timeout:g}: give more than 0 seconds")
    if workers.runner is not None:
        return _with_beam(items, work, journal, workers)
    if workers.processes == 0:
        return ((item, work(item, lambda: None)) for item in items)
    return in_processes(items, work, journal, count=workers.processes, timeout=workers.frame_timeout)


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
    extract = functools.partial(_extract_few, work=work, journal=journal, timeout=workers.frame_timeout)
    with journal.scratch() as folder:
        with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
            # Without a reshuffle, a runner may fuse creation and work into one bundle on one worker.
            _ = (
                pipeline
                | "Videos" >> beam.Create(_by_few(items))
                | "Spread" >> beam.Reshuffle()
                | "Extract" >> beam.FlatMap(extract)
                | "As text" >> beam.Map(json.dumps)
                | "Collect" >> WriteToText(os.fspath(folder / _TROUBLES))
            )
        troubles = _read_troubles(folder)
    for item in items:
        yield item, troubles.get(item.key)


def _by_few(items: list[VideoItem]) -> list[list[VideoItem]]:
    return [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]


def _extract_few(
    items: list[VideoItem], *, work: Work, journal: Journal, timeout: float
) -> Iterator[Trouble]:
    """Do some videos in a process of their own, which Beam's workers do not share with them."""
    for _, trouble in in_processes(items, work, journal, count=1, timeout=timeout):
        if trouble is not None:
            yield trouble


def _read_troubles(folder: Path) -> dict[str, Trouble]:
    lines = [line for path in folder.glob(f"{_TROUBLES}*") for line in path.read_text().splitlines()]
    return {trouble.key: trouble for line in lines for trouble in [Trouble(*json.loads(line))]}
