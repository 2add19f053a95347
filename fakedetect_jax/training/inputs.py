"""From a loaded batch to what the model sees: crops, augmentation, and fakes where the data has none."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fakedetect_jax.augment import SelfBlendRecipe, augment_clip, face_crop, self_blend

Batch = dict[str, jax.Array]
# (one key per example [B], batch as loaded) -> `frames` float32 [N, T, H, W, 3] in [0, 1], `valid` [N, T],
# `label` [N], `weight` [N]; N is B, or 2 B where every example becomes a pair.
MakeInputs = Callable[[jax.Array, Batch], Batch]


def self_blended(recipe: SelfBlendRecipe) -> MakeInputs:
    """Every clip becomes a pair: itself as a real, and its self-blended image as a fake."""

    def make(keys: jax.Array, batch: Batch) -> Batch:
        def one(key: jax.Array, frames: jax.Array, landmarks: jax.Array) -> jax.Array:
            pair = self_blend(key, to_unit(frames), landmarks, recipe=recipe)
            return jnp.stack([pair.real, pair.fake])

        pairs = jax.vmap(one)(keys, batch["frames"], batch["landmarks"])
        # Pairs lie side by side: putting all reals before all fakes would move examples between devices.
        both = {name: jnp.repeat(batch[name], 2, axis=0) for name in ("valid", "weight")}
        label = jnp.tile(jnp.arange(2, dtype=jnp.int32), keys.shape[0])
        return {"frames": pairs.reshape(-1, *pairs.shape[2:]), "label": label, **both}

    return make


def augmented(recipe: SelfBlendRecipe) -> MakeInputs:
    """Every clip keeps its recorded label and gets the geometric and photometric part of the recipe."""

    def make(keys: jax.Array, batch: Batch) -> Batch:
        def one(key: jax.Array, frames: jax.Array, landmarks: jax.Array) -> jax.Array:
            return augment_clip(key, to_unit(frames), landmarks, recipe=recipe)

        return _labelled(jax.vmap(one)(keys, batch["frames"], batch["landmarks"]), batch)

    return make


def cropped(*, size: int, margin: float) -> MakeInputs:
    """Every clip keeps its recorded label and gets the fixed crop of evaluation; the keys are not used."""

    def make(keys: jax.Array, batch: Batch) -> Batch:
        del keys

        def one(frames: jax.Array, landmarks: jax.Array) -> jax.Array:
            return face_crop(to_unit(frames), landmarks, size=size, margin=margin)

        return _labelled(jax.vmap(one)(batch["frames"], batch["landmarks"]), batch)

    return make


def to_unit(frames: jax.Array) -> jax.Array:
    """uint8 -> float32 in [0, 1]."""
    return frames.astype(jnp.float32) / 255.0


def _labelled(frames: jax.Array, batch: Batch) -> Batch:
    return {"frames": frames} | {name: batch[name] for name in ("valid", "label", "weight")}
