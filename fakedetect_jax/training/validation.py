"""Metrics on the validation split, by which the best checkpoint is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from fakedetect_jax import parallel
from fakedetect_jax.evaluation import metrics
from fakedetect_jax.models import Clip
from fakedetect_jax.training.inputs import MakeInputs
from fakedetect_jax.training.state import TrainState

# The checkpoint with the highest value is the best. The log loss distinguishes models that have the same AUC.
SELECTION_METRIC = "negative_log_loss"


def make_validation_step(model: nn.Module, inputs: MakeInputs, *, seed: int, mesh: Mesh) -> Callable:
    """Return the jitted (variables, batch) -> (logit, label, weight), each [N], on every device.

    A batch has `place` int32 [B], which seeds its fakes: they are the same at every validation and for any number of
    devices.
    """
    whole, split = parallel.replicated(mesh), parallel.split_by_example(mesh)

    def step(variables: dict, batch: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(seed), batch["place"])
        examples = inputs(keys, batch)
        logit, _ = model.apply(variables, Clip.from_batch(examples))
        return logit, examples["label"], examples["weight"]

    return jax.jit(step, in_shardings=(whole, split), out_shardings=(whole, whole, whole))


def validate(
    step: Callable, state: TrainState, batches: Iterable[dict[str, np.ndarray]], mesh: Mesh
) -> dict[str, float]:
    """Return the AUC, the log loss and the accuracy at P(fake) = 0.5 of the averaged weights.

    Metrics are by clip, without padding, and computed from logits in float64: from a logit of 17 on, a float32
    probability is 1.

    Args:
        step: what `make_validation_step` returned.
        state: the state; its averaged weights are validated.
        batches: this process's rows of every batch.
        mesh: the devices.
    """
    outputs = [step(state.evaluated, parallel.to_global(_riffled(batch), mesh)) for batch in batches]
    logits, labels, weights = (np.concatenate(part) for part in zip(*jax.device_get(outputs), strict=True))
    logits, labels = logits[weights > 0].astype(np.float64), labels[weights > 0]
    log_loss = float(metrics.log_loss_from_logits(labels, logits))
    return {
        "auc": float(metrics.auc(labels, logits)),
        "log_loss": log_loss,
        "accuracy": float(metrics.accuracy(labels, logits, threshold=0.0)),
        SELECTION_METRIC: -log_loss,
    }


def _riffled(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Interleave the rows of the two halves, as in shuffling cards.

    Batches hold the clips of a track one after another, but `self_blended` borrows faces from neighbours, who must be
    strangers.
    """
    rows = len(batch["place"])
    order = np.arange(rows) if rows % 2 else np.arange(rows).reshape(2, -1).T.reshape(-1)
    return {name: values[order] for name, values in batch.items()}
