"""AdamW with warm-up, cosine decay and gradient clipping, and without weight decay where it does harm."""

from __future__ import annotations

from typing import Any

import jax
import optax

from fakedetect_jax.errors import FakedetectError

# Last names of parameter paths. Norms, layer scales and most biases are exempt already, because they have one axis.
# Edge weights start at one: decay would pull them towards a graph without edges.
_UNDECAYED_NAMES = ("bias", "class_token", "edge_weight", "position")


def decay_mask(params: Any) -> Any:
    """Return a tree of bools: True where weight decay applies.

    Norms, biases, layer scales, class tokens, positions and edge weights are not decayed.
    """

    def decays(path: tuple, leaf: Any) -> bool:
        return leaf.ndim > 1 and path[-1].key not in _UNDECAYED_NAMES

    return jax.tree_util.tree_map_with_path(decays, params)


def learning_rate_schedule(peak: float, *, warmup_steps: int, steps: int) -> optax.Schedule:
    """Return a rate that rises linearly from 0 to `peak` in `warmup_steps`, then falls to 0 as a cosine at `steps`.

    Raises:
        FakedetectError: the warm-up does not end before the training does.
    """
    if not 0 <= warmup_steps < steps:
        raise FakedetectError(f"optimizer.warmup_steps={warmup_steps} must be below train.steps={steps}")
    return optax.warmup_cosine_decay_schedule(0.0, peak, warmup_steps, decay_steps=steps)


def adamw(
    schedule: optax.Schedule, *, weight_decay: float, clip_norm: float, b1: float, b2: float
) -> optax.GradientTransformation:
    """Return AdamW (Loshchilov & Hutter, 2019) behind clipping of the global gradient norm."""
    return optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.adamw(schedule, b1=b1, b2=b2, weight_decay=weight_decay, mask=decay_mask),
    )


def without(optimizer: optax.GradientTransformation, frozen: tuple[str, ...]) -> optax.GradientTransformation:
    """Return an optimizer that leaves the parameters under the `frozen` top-level names unchanged."""
    if not frozen:
        return optimizer

    def labels(params: dict[str, Any]) -> dict[str, str]:
        return {name: "frozen" if name in frozen else "trained" for name in params}

    return optax.partition({"trained": optimizer, "frozen": optax.set_to_zero()}, labels)
