"""Scalars of a run: collected step by step, written as JSON lines and for TensorBoard."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.summary import scalar

from fakedetect_jax import files
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import AnyPath

LINES = "metrics.jsonl"


class LossNotFinite(FakedetectError):
    """Training that has diverged."""


class StepMetrics:
    """Metrics of the steps since the last log line, left on the device until that line is written."""

    def __init__(self, step: int) -> None:
        self._begin(step)

    def _begin(self, step: int) -> None:
        self._first = step + 1
        self._metrics: list[dict[str, jax.Array]] = []
        self._waited = 0.0
        self._since = self._last = time.perf_counter()

    def received_batch(self) -> None:
        """Count the time since the last step was dispatched as waiting for data."""
        self._waited += time.perf_counter() - self._last

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Take the metrics of one step, which may still be computing."""
        self._metrics.append(metrics)
        self._last = time.perf_counter()

    def close(self, *, examples: int) -> dict[str, float]:
        """Return the means since the last call, and the speed; start anew.

        Args:
            examples: clips a step.

        Raises:
            LossNotFinite: a step's loss or gradient norm is not finite; names the first such step.
        """
        rows = jax.device_get(self._metrics)
        for step, row in enumerate(rows, self._first):
            for name in ("loss", "gradient_norm"):
                if not np.isfinite(row[name]):
                    raise LossNotFinite(
                        f"{name} is {row[name]} at step {step}; nothing since the last checkpoint was saved. "
                        "Lower config.optimizer.learning_rate, or look at the batch of that step"
                    )
        elapsed = time.perf_counter() - self._since
        values = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        values["examples_per_second"] = examples * len(rows) / elapsed
        values["data_wait"] = self._waited / elapsed
        self._begin(self._first + len(rows) - 1)
        return values


class MetricsLog:
    """Writes to `folder`/metrics.jsonl and `folder`/tensorboard.

    Lines past `step`, where the run resumes, are dropped first: a killed run may have logged steps that are taken
    again. Files in a bucket cannot be appended to: there, the log is kept on this machine and copied by `publish`.
    """

    def __init__(self, folder: AnyPath, *, step: int) -> None:
        self._folder, self._full = folder, False
        self._temporary = None if isinstance(folder, Path) else tempfile.TemporaryDirectory()
        local = Path(self._temporary.name) if self._temporary else Path(folder)
        board = local / "tensorboard"
        files.make_folder(board)
        self._path = local / LINES
        if self._temporary and (folder / LINES).exists():
            self._path.write_bytes((folder / LINES).read_bytes())
        if self._path.exists():
            _keep_until(self._path, step)
        self._lines = self._path.open("a", encoding="utf-8")
        # Not tensorboardX's SummaryWriter: on a full disk its thread ends, and the next `add_scalar` waits forever.
        self._board = EventsWriter(str(board / "events"))
        self._board.write_event(Event(step=step + 1, file_version="brain.Event:2"))
        self._board.write_event(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, part: str, values: dict[str, float]) -> None:
        """Log `values` of `part` ('train', 'validation') at `step`.

        Raises:
            OSError: a file cannot be written, as on a full disk; names it.
        """
        try:
            self._lines.write(json.dumps({"step": step, "part": part, **values}) + "\n")
            self._lines.flush()
            for name, value in values.items():
                summary = scalar(f"{part}/{name}", value)
                self._board.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            self._board.flush()
        except OSError as error:
            self._full = True  # closing would try to write the buffers again, and fail again
            raise OSError(error.errno, error.strerror, str(self._path.parent)) from error

    def publish(self) -> None:
        """Copy the log to the bucket, if the run is in one.

        Called with each checkpoint: lines past the newest one are dropped anyway when a killed run resumes.
        """
        if self._temporary:
            local = Path(self._temporary.name)
            for path in (self._path, *(local / "tensorboard").iterdir()):
                files.write_bytes(self._folder / path.relative_to(local).as_posix(), path.read_bytes())

    def close(self) -> None:
        """Flush and close both."""
        if not self._full:
            self._lines.close()
            self._board.close()
            self.publish()
        if self._temporary:
            self._temporary.cleanup()


def _keep_until(path: Path, step: int) -> None:
    rows = [(line, _step_of(line)) for line in path.read_bytes().splitlines()]
    # A killed run leaves half a line at the end, of a step that is taken again.
    if lost := sum(place is None for _, place in rows[:-1]):
        print(f"{path}: {lost} lines cannot be read and are left out")
    kept = b"".join(line + b"\n" for line, place in rows if place is not None and place <= step)
    files.write_bytes(path, kept)


def _step_of(line: bytes) -> int | None:
    """Return the step of a line, or None if we did not write it."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return step if isinstance(step, int) else None
