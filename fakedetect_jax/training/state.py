"""The state that a training run carries from step to step."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax.sharding import Sharding

from fakedetect_jax.models import clip_shapes


class TrainState(flax.struct.PyTreeNode):
    """All numbers of a run: with the config, every later step follows from them.

    Attributes:
        step: number of steps taken, int32 [].
        params: the parameters.
        average: exponential moving average of `params`, evaluated and exported with `average_statistics`.
        statistics: the statistics of batch norms; {} without any.
        average_statistics: exponential moving average of `statistics`.
        optimizer: the state of the optimizer.
    """

    step: Any
    params: Any
    average: Any
    statistics: Any
    average_statistics: Any
    optimizer: optax.OptState

    @property
    def evaluated(self) -> dict[str, Any]:
        """The variables to evaluate and export."""
        return variables_of(self.average, self.average_statistics)

    def begin_from(self, variables: dict[str, Any]) -> TrainState:
        """Return the state with these variables as its parameters and statistics, and as their averages."""
        params, average = (jax.tree.map(jnp.array, variables["params"]) for _ in range(2))
        statistics, followed = (jax.tree.map(jnp.array, variables.get("batch_stats", {})) for _ in range(2))
        return self.replace(
            params=params, average=average, statistics=statistics, average_statistics=followed
        )


def variables_of(params: Any, statistics: Any) -> dict[str, Any]:
    """Return Flax's variables, without the collection of statistics if it is empty."""
    return {"params": params} | ({"batch_stats": statistics} if statistics else {})


def create_state(
    model: nn.Module, optimizer: optax.GradientTransformation, *, seed: int, frames: int, size: int
) -> TrainState:
    """Return the first state of `model`, with random parameters, for clips of `frames` x `size` x `size` pixels."""

    @jax.jit
    def draw(key: jax.Array) -> TrainState:
        clip = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), clip_shapes(frames, size))
        variables = model.init(key, clip)
        params, statistics = variables["params"], variables.get("batch_stats", {})
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            average=params,
            statistics=statistics,
            average_statistics=statistics,
            optimizer=optimizer.init(params),
        )

    return draw(jax.random.key(seed))


def state_shapes(
    model: nn.Module, optimizer: optax.GradientTransformation, *, frames: int, size: int, sharding: Sharding
) -> TrainState:
    """Return the state of `create_state` as jax.ShapeDtypeStruct, to restore a checkpoint onto; computes nothing."""
    shapes = jax.eval_shape(lambda: create_state(model, optimizer, seed=0, frames=frames, size=size))
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes)
