"""A training run: from a config and a folder to the best checkpoint in it, through kills and restarts."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import fakedetect_jax
from fakedetect_jax import experiment, parallel
from fakedetect_jax.config import Config, differences
from fakedetect_jax.data.pipeline import evaluation_batches, train_batches
from fakedetect_jax.data.tracks import Tracks
from fakedetect_jax.training.checkpoint import CheckpointMismatch, Checkpoints
from fakedetect_jax.training.metrics_log import MetricsLog
from fakedetect_jax.training.state import TrainState
from fakedetect_jax.training.step import compile_step
from fakedetect_jax.training.validation import SELECTION_METRIC, make_validation_step, validate

CHECKPOINTS = "checkpoints"
# What may change between a run and its continuation without changing its numbers.
_FREE = ("config.evaluation.", "config.data.folder", "config.data.threads", "config.data.workers")
_FREE += ("config.data.prefetch", "config.train.log_every", "config.train.checkpoint_every", "config.name")


def train(config: Config, workdir: str | Path) -> Path:
    """Trains, or goes on from the newest checkpoint in `workdir`, up to config.train.steps.

    Returns:
      The folder of checkpoints.

    Raises:
      CheckpointMismatch: `workdir` holds a run of another config or other data; names the difference.
      FloatingPointError: the loss or the gradient is not finite; names the step.
    """
    run = _Run(config, Path(workdir))
    try:
        run.go()
    finally:
        run.close()
    return run.folder


class _Run:
    """The parts of a run, put together once."""

    def __init__(self, config: Config, workdir: Path) -> None:
        self.config, self.folder = config, workdir / CHECKPOINTS
        self.mesh = parallel.make_mesh()
        parallel.check_batch_size(config.train.batch_size, self.mesh, "config.train.batch_size")
        parallel.check_batch_size(config.validation.batch_size, self.mesh, "config.validation.batch_size")
        experiment.check_pairs(config, self.mesh.size)
        self.tracks = experiment.open_tracks(config, config.data.train)
        experiment.check_methods(config, self.tracks)
        self.held_out = experiment.open_tracks(config, config.validation.sources)
        self.model = experiment.make_model(config)
        optimizer = experiment.make_optimizer(config)
        self.step = compile_step(experiment.make_step(config, self.model, optimizer), self.mesh)
        self.validation_step = make_validation_step(
            self.model, experiment.make_validation_inputs(config), seed=config.seed, mesh=self.mesh
        )
        self.checkpoints = Checkpoints(self.folder, metric=SELECTION_METRIC)
        self.state = self._first_or_saved_state(optimizer)
        self.log = MetricsLog(workdir, step=int(self.state.step)) if jax.process_index() == 0 else None

    def go(self) -> None:
        """Takes the steps that are left."""
        train, start = self.config.train, int(self.state.step)
        if start >= train.steps:
            print(f"{self.folder}: trained to step {start} already")
            return
        batches = train_batches(
            self.tracks,
            batch_size=train.batch_size,
            steps=train.steps,
            start=start,
            frames=self.config.data.frames,
            stride=self.config.data.stride,
            seed=self.config.seed,
            shard=experiment.this_process(),
            loading=experiment.make_loading(self.config),
        )
        window = _Window(start)
        progress = tqdm(batches, initial=start, total=train.steps, desc="train", unit="step")
        for done, batch in enumerate(progress, start + 1):
            window.received_batch()
            self.state, metrics = self.step(self.state, parallel.to_global(batch, self.mesh))
            window.add(metrics)
            last, validating = done == train.steps, done % self.config.validation.every == 0
            saving = last or validating or done % train.checkpoint_every == 0
            if saving or done % train.log_every == 0:
                values = window.close(examples=train.batch_size)
                self._write(done, "train", values)
                progress.set_postfix_str(f"loss {values['loss']:.3f}")
            if saving:
                self._save(done, self._validate(done) if last or validating else None)
                window = _Window(done)  # what validation and saving took is not the steps' time

    def close(self) -> None:
        """Waits for what is being written."""
        self.checkpoints.close()
        if self.log:
            self.log.close()

    def _validate(self, step: int) -> dict[str, float]:
        batches = evaluation_batches(
            self.held_out,
            batch_size=self.config.validation.batch_size,
            frames=self.config.data.frames,
            clips=self.config.validation.repeats,
            spacing=self.config.data.spacing,
            shard=experiment.this_process(),
            loading=experiment.make_loading(self.config),
        )
        values = validate(self.validation_step, self.state, batches, self.mesh)
        self._write(step, "validation", values)
        tqdm.write(f"step {step}: validation AUC {values['auc']:.3f}, log loss {values['log_loss']:.3f}")
        return values

    def _save(self, step: int, metrics: dict[str, float] | None) -> None:
        self.checkpoints.save(step, self.state, self._about(), metrics)

    def _write(self, step: int, part: str, values: dict[str, float]) -> None:
        if self.log:
            self.log.write(step, part, values)

    def _about(self) -> dict[str, Any]:
        """What the numbers of a run follow from, besides the train state."""
        return {
            "config": self.config.to_dict(),
            "data": {"train": _fingerprint(self.tracks), "validation": _fingerprint(self.held_out)},
            "versions": {"fakedetect_jax": fakedetect_jax.__version__, "jax": jax.__version__},
        }

    def _first_or_saved_state(self, optimizer: Any) -> TrainState:
        state = experiment.make_state(self.config, self.model, optimizer)
        state = jax.device_put(state, parallel.replicated(self.mesh))
        step = self.checkpoints.latest_step()
        if step is None:
            return state
        saved, current = self.checkpoints.about(step), self._about()
        changed = [
            row for row in differences(saved["config"], current["config"]) if not row.startswith(_FREE)
        ]
        if saved["data"] != current["data"]:
            changed.append(f"the records themselves: {saved['data']} -> {current['data']}")
        if changed:
            raise CheckpointMismatch(
                f"{self.folder}, step {step}, belongs to another run:\n  "
                + "\n  ".join(changed)
                + "\nuse the config that began it, or a new --workdir"
            )
        return self.checkpoints.restore(step, state)


class _Window:
    """Metrics of the steps since the last log line, left on the device until that line is written."""

    def __init__(self, step: int) -> None:
        self._begin(step)

    def _begin(self, step: int) -> None:
        self._first = step + 1
        self._metrics: list[dict[str, jax.Array]] = []
        self._waited = 0.0
        self._since = self._last = time.perf_counter()

    def received_batch(self) -> None:
        """Counts the time since the last step was given to the device as waiting for data."""
        self._waited += time.perf_counter() - self._last

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Takes the metrics of one step, still being computed."""
        self._metrics.append(metrics)
        self._last = time.perf_counter()

    def close(self, *, examples: int) -> dict[str, float]:
        """Returns the means since the last call, and the speed; begins anew.

        Raises:
          FloatingPointError: a step's loss or gradient norm is not finite; names the first such step.
        """
        rows = jax.device_get(self._metrics)
        for step, row in enumerate(rows, self._first):
            for name in ("loss", "gradient_norm"):
                if not np.isfinite(row[name]):
                    raise FloatingPointError(
                        f"{name} is {row[name]} at step {step}; nothing since the last checkpoint was saved. "
                        "Lower config.optimizer.learning_rate, or look at the batch of that step"
                    )
        elapsed = time.perf_counter() - self._since
        values = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        values["examples_per_second"] = examples * len(rows) / elapsed
        values["data_wait"] = self._waited / elapsed
        self._begin(self._first + len(rows) - 1)
        return values


def _fingerprint(tracks: Tracks) -> dict[str, Any]:
    """Tells whether two selections hold the same records in the same order, without reading frames."""
    rows = [str(sorted(dataclasses.asdict(entry).items())) for entry in tracks.entries]
    return {"tracks": len(rows), "sha256": hashlib.sha256("\n".join(rows).encode()).hexdigest()}
