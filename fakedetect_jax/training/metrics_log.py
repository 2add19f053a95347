"""Scalars of a run, as JSON lines and for TensorBoard."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.summary import scalar

from fakedetect_jax import files


class MetricsLog:
    """Writes to `folder`/metrics.jsonl and `folder`/tensorboard.

    Lines past `step`, where the run goes on from, are dropped first: a killed run may have logged steps that
    it will now take again.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        board = folder / "tensorboard"
        board.mkdir(parents=True, exist_ok=True)
        self._path, self._full = folder / "metrics.jsonl", False
        if self._path.exists():
            _keep_until(self._path, step)
        self._lines = self._path.open("a", encoding="utf-8")
        # Not its SummaryWriter: on a full disk the thread of that ends, and the next `add_scalar` waits for ever.
        self._board = EventsWriter(str(board / "events"))
        self._board.write_event(Event(step=step + 1, file_version="brain.Event:2"))
        self._board.write_event(Event(step=step + 1, session_log=SessionLog(status=SessionLog.START)))

    def write(self, step: int, part: str, values: dict[str, float]) -> None:
        """Logs `values` of `part` ('train', 'validation') at `step`.

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
            self._full = True  # what is left in the buffers would fail once more at the end
            raise OSError(error.errno, error.strerror, str(self._path.parent)) from error

    def close(self) -> None:
        """Flushes both."""
        if not self._full:
            self._lines.close()
            self._board.close()


def _keep_until(path: Path, step: int) -> None:
    rows = [(line, _step_of(line)) for line in path.read_bytes().splitlines()]
    # A killed run leaves half a line at the end, of a step that is taken again.
    if lost := sum(place is None for _, place in rows[:-1]):
        print(f"{path}: {lost} lines cannot be read and are left out")
    kept = b"".join(line + b"\n" for line, place in rows if place is not None and place <= step)
    files.write_bytes(path, kept)


def _step_of(line: bytes) -> int | None:
    """The step that a line is of; None where it is not one of ours."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None
