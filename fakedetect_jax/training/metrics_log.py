"""Scalars of a run, as JSON lines and for TensorBoard."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from tensorboardX import SummaryWriter


class MetricsLog:
    """Writes to `folder`/metrics.jsonl and `folder`/tensorboard.

    Lines past `step`, where the run goes on from, are dropped first: a killed run may have logged steps that
    it will now take again.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.jsonl"
        if path.exists():
            _keep_until(path, step)
        self._lines = path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, part: str, values: dict[str, float]) -> None:
        """Logs `values` of `part` ('train', 'validation') at `step`."""
        try:
            self._lines.write(json.dumps({"step": step, "part": part, **values}) + "\n")
            self._lines.flush()
        except OSError as error:  # which does not say for which file there was no room
            with contextlib.suppress(OSError):
                self._lines.close()  # or what is left in its buffer would fail once more at the end
            raise OSError(error.errno, error.strerror, self._lines.name) from error
        for name, value in values.items():
            self._board.add_scalar(f"{part}/{name}", value, step)

    def close(self) -> None:
        """Flushes both."""
        self._lines.close()
        self._board.close()


def _keep_until(path: Path, step: int) -> None:
    rows = [(line, _step_of(line)) for line in path.read_bytes().splitlines()]
    # A killed run leaves half a line at the end, of a step that is taken again.
    if lost := sum(place is None for _, place in rows[:-1]):
        print(f"{path}: {lost} lines cannot be read and are left out")
    kept = b"".join(line + b"\n" for line, place in rows if place is not None and place <= step)
    partial = path.with_suffix(".tmp")
    partial.write_bytes(kept)
    os.replace(partial, path)


def _step_of(line: bytes) -> int | None:
    """The step that a line is of; None where it is not one of ours."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None
