"""What a training run carries from step to step."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn


class TrainState(flax.struct.PyTreeNode):
    """The whole of a run's numbers: with the config and `step`, every later step follows from it.

    `average` is the exponential moving average of `params`, the weights that are evaluated and exported.
    """

    step: jax.Array
    params: Any
    average: Any
    optimizer: optax.OptState


def create_state(
    model: nn.Module, optimizer: optax.GradientTransformation, *, seed: int, frames: int, size: int
) -> TrainState:
    """Draws the parameters of `model` for clips of `frames` frames of `size` x `size` pixels."""
    clip = jnp.zeros((1, frames, size, size, 3), jnp.float32)
    params = jax.jit(model.init)(jax.random.key(seed), clip)["params"]
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        average=jax.tree.map(jnp.copy, params),
        optimizer=jax.jit(optimizer.init)(params),
    )
