"""The same work as a Beam pipeline. The journal's folder must be one that all workers see, under the same path."""

from __future__ import annotations

import json
import os
from pathlib import Path

from fakedetect_jax.data_builders.engine.execution import Done, Execution, Work
from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.listing import VideoItem
from fakedetect_jax.data_builders.engine.trouble import Trouble
from fakedetect_jax.errors import FakedetectError

_RUNNERS = {
    "direct": "DirectRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "dataflow": "DataflowRunner",
}
_TROUBLES = "troubles"


def extract_all(items: list[VideoItem], work: Work, journal: Journal, execution: Execution) -> Done:
    """Runs the pipeline to its end, then yields the items with their troubles.

    Raises:
      FakedetectError: an unknown runner, or Beam is not installed.
    """
    if execution.runner not in _RUNNERS:
        raise FakedetectError(f"runner {execution.runner!r} is not known; there are {sorted(_RUNNERS)}")
    try:
        import apache_beam as beam
        from apache_beam.io import WriteToText
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise FakedetectError("a runner needs Beam: pip install 'fakedetect_jax[beam]'") from error
    options = [f"--runner={_RUNNERS[execution.runner]}", *execution.beam_options]
    if execution.runner == "direct":
        # Threads would share one decoder's lock; processes do not.
        options += [f"--direct_num_workers={execution.workers}", "--direct_running_mode=multi_processing"]
    with journal.scratch() as folder:
        with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
            # Reshuffled, or a runner may fuse creation and work into one bundle on one worker.
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
