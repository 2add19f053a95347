"""One training step in one compiled program: make fakes from reals, forward, backward, update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import Mesh

from fakedetect_jax import parallel
from fakedetect_jax.data.videos import number_of
from fakedetect_jax.models import Clip
from fakedetect_jax.training.inputs import Batch, MakeInputs
from fakedetect_jax.training.losses import detection_loss, mask_loss, method_loss
from fakedetect_jax.training.state import TrainState, variables_of

Metrics = dict[str, jax.Array]


def make_train_step(
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    make_inputs: MakeInputs,
    *,
    seed: int,
    ema_decay: float,
    frame_weight: float,
    mask_weight: float,
    method_weight: float,
    methods: Sequence[str],
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Return the pure step (state, batch) -> (state, metrics), not yet compiled.

    All randomness comes from (seed, state.step) and the example's place in the global batch.

    Args:
        model: the model; with a `mask_weight` it predicts the blend mask too, with a `method_weight` the method.
        optimizer: updates the parameters; it follows `schedule`.
        schedule: learning rate by step, for the metric `learning_rate`.
        make_inputs: turns a loaded batch into examples.
        seed: seed of augmentation and dropout.
        ema_decay: decay of the averaged weights, in [0, 1).
        frame_weight: weight of the per-frame loss beside the clip's.
        mask_weight: weight of the loss of the predicted blend mask.
        method_weight: weight of the loss of telling methods apart.
        methods: names of the methods, in the order of the model's logits.

    Returns:
        The step. Its metrics are float32 scalars; `unblended` counts the clips that no fake could be made of.
    """

    numbers = [number_of(name) for name in methods]

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        augment_key, dropout_key = jax.random.split(jax.random.fold_in(jax.random.key(seed), state.step))
        examples = make_inputs(jax.random.split(augment_key, batch["label"].shape[0]), batch)

        def objective(params: dict) -> tuple[jax.Array, tuple[Metrics, Any]]:
            (logit, out), updated = model.apply(
                variables_of(params, state.statistics),
                Clip.from_batch(examples),
                train=True,
                rngs={"dropout": dropout_key},
                mutable=["batch_stats"],
            )
            counted = {name: examples[name] for name in ("valid", "weight")}
            loss, metrics = detection_loss(
                logit,
                out["frame_logit"],
                label=examples["label"],
                frame_label=examples["frame_label"],
                frame_weight=frame_weight,
                **counted,
            )
            if mask_weight:
                metrics["mask_loss"] = mask_loss(out["blend_mask"], examples["blend_mask"], **counted)
                loss = loss + mask_weight * metrics["mask_loss"]
            if method_weight:
                attribution, more = method_loss(
                    out["method_logit"], examples["method"], numbers, weight=examples["weight"]
                )
                metrics |= more
                loss = loss + method_weight * attribution
            return loss, (metrics, updated.get("batch_stats", state.statistics))

        (loss, (metrics, statistics)), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        # Early on, the average must not remember the random initial weights.
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        average, average_statistics = (
            _follow(old, new, 1.0 - decay)
            for old, new in ((state.average, params), (state.average_statistics, statistics))
        )
        if "unblended" in examples:
            metrics["unblended"] = jnp.sum(examples["unblended"])
        metrics |= {
            "loss": loss,
            "gradient_norm": optax.tree.norm(gradients),
            "learning_rate": jnp.asarray(schedule(state.step), jnp.float32),
        }
        after = TrainState(state.step + 1, params, average, statistics, average_statistics, optimizer_state)
        return after, metrics

    return train_step


def _follow(average: Any, values: Any, share: jax.Array) -> Any:
    """Move an average by a share of the way to the values; frozen values stay the same, bit for bit."""
    return jax.tree.map(lambda old, new: old + share * (new - old), average, values)


def compile_step(step: Callable, mesh: Mesh) -> Callable:
    """Jit a step over `mesh`: the state is replicated and donated, the batch split by example."""
    whole = parallel.replicated(mesh)
    return jax.jit(
        step,
        in_shardings=(whole, parallel.split_by_example(mesh)),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )
