"""A loaded batch turned into examples for the model: crops, augmentation, and fakes if the data has none."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fakedetect_jax.augment import (
    Blend,
    Crop,
    OtherFace,
    SelfBlendRecipe,
    augment_clip,
    face_crop,
    self_blend,
)
from fakedetect_jax.augment.crop import locate_face
from fakedetect_jax.errors import FakedetectError

Batch = dict[str, jax.Array]
# (one key per example [B], batch as loaded) -> `frames` float32 [N, T, H, W, 3] in [0, 1], `landmarks` [N, T, 81, 2]
# in their pixels, `timestamps` and `valid` [N, T], `label` [N], `frame_label` [N, T], `weight` [N]; N is B, or 2 B
# if every example becomes a pair. Recorded examples also have `method` [N]. Pairs have `blend_mask` [N, T, H, W] and
# `unblended` [N], which is 1 for a fake that could not be blended and has weight 0.
MakeInputs = Callable[[jax.Array, Batch], Batch]


# The operations that make the fakes have this in their names in the compiled program.
SELF_BLEND = "self_blend"
_SEEN = ("frames", "landmarks", "valid")


def self_blended(recipe: SelfBlendRecipe) -> MakeInputs:
    """Make a pair of every clip: the clip itself as a real, and its self-blended image as a fake.

    If no frame of a clip can be forged (unusable landmarks), the fake has weight 0.

    Raises:
        FakedetectError: while tracing, if `recipe.other_face` needs neighbours and the batch is odd; `check_pairs`
            checks the share of each device.
    """

    def make(keys: jax.Array, batch: Batch) -> Batch:
        frames = to_unit(batch["frames"])
        others = _neighbours(frames, batch) if recipe.other_face > 0.0 else None

        def one(
            key: jax.Array, frames: jax.Array, landmarks: jax.Array, valid: jax.Array, other: OtherFace | None
        ) -> Blend:
            return self_blend(key, frames, landmarks, recipe=recipe, valid=valid, other=other)

        with jax.named_scope(SELF_BLEND):
            pairs = jax.vmap(one)(keys, frames, batch["landmarks"], batch["valid"], others)
        blended = jnp.any(pairs.forged, axis=1).astype(jnp.float32)
        return {
            "frames": _side_by_side(pairs.real, pairs.fake),
            "landmarks": jnp.repeat(pairs.landmarks, 2, axis=0),
            "timestamps": jnp.repeat(batch["timestamps"], 2, axis=0),
            "valid": jnp.repeat(batch["valid"], 2, axis=0),
            "label": jnp.tile(jnp.arange(2, dtype=jnp.int32), keys.shape[0]),
            "frame_label": _side_by_side(jnp.zeros_like(pairs.forged), pairs.forged).astype(jnp.int32),
            "weight": _side_by_side(batch["weight"], batch["weight"] * blended),
            "blend_mask": _side_by_side(jnp.zeros_like(pairs.mask), pairs.mask)[..., 0],
            "unblended": _side_by_side(jnp.zeros_like(blended), batch["weight"] * (1.0 - blended)),
        }

    return make


def _side_by_side(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Interleave two [B, ...] into [2 B, ...]; all reals before all fakes would move examples between devices."""
    return jnp.stack([real, fake], axis=1).reshape(-1, *real.shape[1:])


def check_pairs(recipe: SelfBlendRecipe, batch_size: int, *, devices: int, field: str) -> None:
    """Check that the neighbours whose faces `self_blended` may swap are on one device.

    Raises:
        FakedetectError: names `field`, the clips that each device gets, and the nearest value that works.
    """
    if recipe.other_face > 0.0 and batch_size % (2 * devices):
        nearest = max(1, round(batch_size / devices / 2)) * 2 * devices
        raise FakedetectError(
            f"{field}={batch_size} gives each of {devices} devices {batch_size / devices:g} clips, one of them without"
            f" a neighbour: config.input.recipe.other_face needs a multiple of {2 * devices}, e.g. {nearest}"
        )


def _neighbours(frames: jax.Array, batch: Batch) -> OtherFace:
    """Return each clip's partner in its pair of neighbours, so that no frame crosses between devices.

    This holds if every device has an even number of clips (`check_pairs`); then the pairs are the same for any number
    of devices. The batch must be ordered so that neighbours are strangers.
    """
    if frames.shape[0] % 2:
        raise FakedetectError(
            f"a batch of {frames.shape[0]} clips has one without a neighbour: input.recipe.other_face needs an even"
            " number"
        )

    def swapped(values: jax.Array) -> jax.Array:
        pairs = values.reshape(-1, 2, *values.shape[1:])
        return jnp.stack([pairs[:, 1], pairs[:, 0]], axis=1).reshape(values.shape)

    landmarks = swapped(batch["landmarks"])
    height, width = frames.shape[2:4]
    faces = jax.vmap(lambda points, valid: locate_face(points, valid, height=height, width=width))(
        landmarks, swapped(batch["valid"])
    )
    stranger = swapped(batch["identity"]) != batch["identity"]
    return OtherFace(swapped(frames), landmarks, faces.usable & stranger[:, None])


def augmented(recipe: SelfBlendRecipe) -> MakeInputs:
    """Keep every clip's recorded label, and apply the geometric and photometric part of the recipe."""

    def make(keys: jax.Array, batch: Batch) -> Batch:
        def one(key: jax.Array, frames: jax.Array, landmarks: jax.Array, valid: jax.Array) -> Crop:
            return augment_clip(key, to_unit(frames), landmarks, recipe=recipe, valid=valid)

        return _labelled(jax.vmap(one)(keys, *(batch[name] for name in _SEEN)), batch)

    return make


def cropped(*, size: int, margin: float) -> MakeInputs:
    """Keep every clip's recorded label, and apply the fixed crop of evaluation; the keys are not used."""

    def make(keys: jax.Array, batch: Batch) -> Batch:
        del keys

        def one(frames: jax.Array, landmarks: jax.Array, valid: jax.Array) -> Crop:
            return face_crop(to_unit(frames), landmarks, size=size, margin=margin, valid=valid)

        return _labelled(jax.vmap(one)(*(batch[name] for name in _SEEN)), batch)

    return make


def to_unit(frames: jax.Array) -> jax.Array:
    """Convert uint8 to float32 in [0, 1]."""
    return frames.astype(jnp.float32) / 255.0


def _labelled(crops: Crop, batch: Batch) -> Batch:
    frame_label = jnp.broadcast_to(batch["label"][:, None], batch["valid"].shape)
    kept = {name: batch[name] for name in ("timestamps", "valid", "label", "method", "weight")}
    return {**crops._asdict(), "frame_label": frame_label, **kept}
