"""The training loop: steps, log lines, validations and checkpoints, up to the last step or a request to stop."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from fakedetect_jax import parallel
from fakedetect_jax.training.interruption import Interruption
from fakedetect_jax.training.metrics_log import MetricsLog, StepMetrics
from fakedetect_jax.training.state import TrainState

Values = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Cadence:
    """The number of steps of a run, and how many lie between two log lines, validations and checkpoints."""

    steps: int
    log_every: int
    validate_every: int
    checkpoint_every: int


def fit(
    state: TrainState,
    step: Callable,
    batches: Iterable[dict[str, np.ndarray]],
    *,
    mesh: Mesh,
    cadence: Cadence,
    batch_size: int,
    validate: Callable[[TrainState], Values],
    save: Callable[[int, TrainState, Values | None], None],
    log: MetricsLog | None,
    interruption: Interruption,
) -> None:
    """Train from `state.step` to `cadence.steps`.

    Args:
        state: where to start; its arrays are donated to the first step.
        step: the compiled (state, batch) -> (state, metrics).
        batches: this process's rows of the batch of every step that is left.
        mesh: the devices.
        cadence: what happens when.
        batch_size: clips a step over all processes.
        validate: state -> validation metrics.
        save: writes the checkpoint of a step; takes its validation metrics, or None if it was not validated.
        log: where scalars go; None on processes other than the first.
        interruption: asked after each step whether to save it and stop.

    Raises:
        LossNotFinite: the loss or the gradient is not finite; names the step.
        Stopped: the run was asked to stop; the step that it reached is saved.
    """
    start = int(state.step)
    window = StepMetrics(start)
    interruption.counted = True
    progress = tqdm(
        batches, initial=start, total=cadence.steps, desc="train", unit="step", disable=log is None
    )
    for done, batch in enumerate(progress, start + 1):
        window.received_batch()
        with _announced_compilation(mesh) if done == start + 1 else contextlib.nullcontext():
            state, metrics = step(state, parallel.to_global(batch, mesh))
        window.add(metrics)
        last, validating = done == cadence.steps, done % cadence.validate_every == 0
        stopping = interruption.asked(done)
        saving = last or validating or stopping or done % cadence.checkpoint_every == 0
        if saving or done % cadence.log_every == 0:
            means = window.close(examples=batch_size)
            progress.set_postfix_str(f"loss {means['loss']:.3f}")
            if log:
                log.write(done, "train", means)
        if saving:
            scores = validate(state) if last or validating else None
            if scores and log:
                log.write(done, "validation", scores)
                tqdm.write(
                    f"step {done}: validation AUC {scores['auc']:.3f}, log loss {scores['log_loss']:.3f}"
                )
            save(done, state, scores)
            if log:
                log.publish()
            window = StepMetrics(done)  # the time of validating and saving is not the steps' time
        if stopping and not last:
            progress.close()
            raise interruption.stop(done)


@contextlib.contextmanager
def _announced_compilation(mesh: Mesh) -> Iterator[None]:
    """Say that the first call of a step compiles it: that may take minutes, and should not look like a hang."""
    begun, say = time.perf_counter(), jax.process_index() == 0
    if say:
        tqdm.write(f"{parallel.describe_devices(mesh)}: compiling the training step ...")
    yield
    if say:
        tqdm.write(f"compiled in {time.perf_counter() - begun:.1f} s")
