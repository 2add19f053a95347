"""A training run: from a config and a folder to the best checkpoint in it, through kills and restarts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from fakedetect_jax import experiment, parallel
from fakedetect_jax.config import Config
from fakedetect_jax.data.pipeline import evaluation_batches, train_batches
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.training.checkpoint import Checkpoints
from fakedetect_jax.training.interruption import Interruption
from fakedetect_jax.training.metrics_log import MetricsLog
from fakedetect_jax.training.provenance import check_same_run, describe_run
from fakedetect_jax.training.state import TrainState
from fakedetect_jax.training.step import compile_step
from fakedetect_jax.training.validation import SELECTION_METRIC, make_validation_step, validate
from fakedetect_jax.training.workdir import reserved

CHECKPOINTS = "checkpoints"


def train(config: Config, workdir: str | Path) -> Path:
    """Trains, or goes on from the newest checkpoint in `workdir`, up to config.train.steps.

    Returns:
      The folder of checkpoints.

    Raises:
      CheckpointMismatch: `workdir` holds a run of another config or other data; names the difference.
      DamagedCheckpoint, CheckpointNotWritten: the files of a checkpoint; names the remedy.
      LossNotFinite: the loss or the gradient is not finite; names the step.
      Stopped: Ctrl-C or SIGTERM asked for it; the step that was reached is saved.
      WorkdirInUse: another process trains in `workdir`.
    """
    workdir = Path(workdir)
    alone = reserved(workdir) if jax.process_index() == 0 else contextlib.nullcontext()
    with Interruption() as interruption, alone:
        run = _Run(config, workdir)
        try:
            run.go(interruption)
        finally:
            run.close()
    return run.folder


class LossNotFinite(FakedetectError):
    """Training that has diverged."""


class _Run:
    """The parts of a run, put together once."""

    def __init__(self, config: Config, workdir: Path) -> None:
        self.config, self.folder = config, workdir / CHECKPOINTS
        self.mesh = parallel.make_mesh()
        parallel.check_batch_size(config.train.batch_size, self.mesh, "config.train.batch_size")
        parallel.check_batch_size(config.validation.batch_size, self.mesh, "config.validation.batch_size")
        experiment.check_pairs(config, self.mesh.size)
        self.videos = experiment.open_videos(config, config.data.train)
        experiment.check_methods(config, self.videos)
        self.held_out = experiment.open_videos(config, config.validation.sources)
        experiment.check_classes(config, self.held_out)
        experiment.check_same_crops(self.videos, self.held_out)
        self.spec = experiment.make_clip_spec(config, self.videos.extraction)
        self.model = experiment.make_model(config)
        optimizer = experiment.make_optimizer(config)
        self.step = compile_step(experiment.make_step(config, self.model, optimizer), self.mesh)
        self.validation_step = make_validation_step(
            self.model, experiment.make_validation_inputs(config), seed=config.seed, mesh=self.mesh
        )
        self.checkpoints = Checkpoints(self.folder, metric=SELECTION_METRIC)
        self.state = self._first_or_saved_state(optimizer)
        self.log = MetricsLog(workdir, step=int(self.state.step)) if jax.process_index() == 0 else None

    def go(self, interruption: Interruption) -> None:
        """Takes the steps that are left."""
        train, start = self.config.train, int(self.state.step)
        if start >= train.steps:
            print(f"{self.folder}: trained to step {start} already")
            return
        batches = train_batches(
            self.videos,
            self.spec,
            batch_size=train.batch_size,
            steps=train.steps,
            start=start,
            seed=self.config.seed,
            shard=experiment.this_process(),
            loading=experiment.make_loading(self.config),
        )
        window = _Window(start)
        interruption.counted = True
        first = jax.process_index() == 0
        progress = tqdm(
            batches, initial=start, total=train.steps, desc="train", unit="step", disable=not first
        )
        for done, batch in enumerate(progress, start + 1):
            window.received_batch()
            with self._said_to_compile() if done == start + 1 else contextlib.nullcontext():
                self.state, metrics = self.step(self.state, parallel.to_global(batch, self.mesh))
            window.add(metrics)
            last, validating = done == train.steps, done % self.config.validation.every == 0
            stopping = interruption.asked(done)
            saving = last or validating or stopping or done % train.checkpoint_every == 0
            if saving or done % train.log_every == 0:
                values = window.close(examples=train.batch_size)
                self._write(done, "train", values)
                progress.set_postfix_str(f"loss {values['loss']:.3f}")
            if saving:
                self._save(done, self._validate(done) if last or validating else None)
                window = _Window(done)  # what validation and saving took is not the steps' time
            if stopping and not last:
                progress.close()
                raise interruption.stop(done)

    def close(self) -> None:
        """Waits for what is being written."""
        self.checkpoints.close()
        if self.log:
            self.log.close()

    @contextlib.contextmanager
    def _said_to_compile(self) -> Iterator[None]:
        """The first call of a step compiles it, which may take minutes: nobody should think that it hangs."""
        begun, say = time.perf_counter(), jax.process_index() == 0
        if say:
            tqdm.write(f"{parallel.describe_devices(self.mesh)}: compiling the training step ...")
        yield
        if say:
            tqdm.write(f"compiled in {time.perf_counter() - begun:.1f} s")

    def _validate(self, step: int) -> dict[str, float]:
        batches = evaluation_batches(
            self.held_out,
            self.spec,
            batch_size=self.config.validation.batch_size,
            shard=experiment.this_process(),
            loading=experiment.make_loading(self.config),
        )
        values = validate(self.validation_step, self.state, batches, self.mesh)
        self._write(step, "validation", values)
        if jax.process_index() == 0:
            tqdm.write(f"step {step}: validation AUC {values['auc']:.3f}, log loss {values['log_loss']:.3f}")
        return values

    def _save(self, step: int, metrics: dict[str, float] | None) -> None:
        self.checkpoints.save(step, self.state, self._about(), metrics)

    def _write(self, step: int, part: str, values: dict[str, float]) -> None:
        if self.log:
            self.log.write(step, part, values)

    def _about(self) -> dict[str, Any]:
        return describe_run(self.config, self.spec, self.videos, self.held_out)

    def _first_or_saved_state(self, optimizer: Any) -> TrainState:
        step, whole = self.checkpoints.latest_step(), parallel.replicated(self.mesh)
        if step is None:
            return jax.device_put(experiment.make_state(self.config, self.model, optimizer), whole)
        where = f"{self.folder}, step {step}"
        check_same_run(self.checkpoints.about(step), self._about(), self.config, where=where)
        return self.checkpoints.restore(
            step, experiment.make_template(self.config, self.model, optimizer, whole)
        )


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
