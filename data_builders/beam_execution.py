"""The same work as a Beam pipeline. The journal's folder must be one that all workers see, under the same path."""

from __future__ import annotations

from collections.abc import Iterator

from data_builders.execution import Execution, Work
from data_builders.listing import VideoItem
from fakedetect_jax.errors import FakedetectError

_RUNNERS = {
    "direct": "DirectRunner",
    "flink": "FlinkRunner",
    "spark": "SparkRunner",
    "dataflow": "DataflowRunner",
}


def extract_all(items: list[VideoItem], work: Work, execution: Execution) -> Iterator[VideoItem]:
    """Runs the pipeline to its end, then yields the items.

    Raises:
      FakedetectError: an unknown runner, or Beam is not installed.
    """
    if execution.runner not in _RUNNERS:
        raise FakedetectError(f"runner {execution.runner!r} is not known; there are {sorted(_RUNNERS)}")
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise FakedetectError("a runner needs Beam: pip install 'fakedetect_jax[beam]'") from error
    options = [f"--runner={_RUNNERS[execution.runner]}", *execution.beam_options]
    if execution.runner == "direct":
        # Threads would share one decoder's lock; processes do not.
        options += [f"--direct_num_workers={execution.workers}", "--direct_running_mode=multi_processing"]
    with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
        # Reshuffled, or a runner may fuse creation and work into one bundle on one worker.
        _ = (
            pipeline
            | "Videos" >> beam.Create(items)
            | "Spread" >> beam.Reshuffle()
            | "Extract" >> beam.Map(lambda item: work(item)["tracks"])
            | "Count" >> beam.CombineGlobally(sum)
        )
    yield from items
