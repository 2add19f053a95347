"""Scalars of a run, as JSON lines and for TensorBoard."""

from __future__ import annotations

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
        self._lines.write(json.dumps({"step": step, "part": part, **values}) + "\n")
        self._lines.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{part}/{name}", value, step)

    def close(self) -> None:
        """Flushes both."""
        self._lines.close()
        self._board.close()


def _keep_until(path: Path, step: int) -> None:
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the half line of a killed run; the steps after it are taken again
            break
        if row["step"] <= step:
            kept.append(line + "\n")
    partial = path.with_suffix(".tmp")
    partial.write_text("".join(kept), encoding="utf-8")
    os.replace(partial, path)
