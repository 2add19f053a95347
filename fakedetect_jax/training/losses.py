"""Losses over a padded, weighted batch."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int


def weighted_mean(values: Float[Array, " *s"], weights: Float[Array, " *s"]) -> Float[Array, ""]:
    """Return sum(values * weights) / sum(weights), or 0 if all weights are 0."""
    total = jnp.sum(weights)
    return jnp.sum(values * weights) / jnp.where(total > 0, total, 1.0)


def detection_loss(
    logit: Float[Array, " b"],
    frame_logit: Float[Array, "b t"],
    *,
    label: Int[Array, " b"],
    frame_label: Int[Array, "b t"],
    valid: Bool[Array, "b t"],
    weight: Float[Array, " b"],
    frame_weight: float,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Return the binary cross-entropy of the clips, plus `frame_weight` times that of their frames.

    A clip counts by its `weight`, which its valid frames share equally; invalid frames do not count. A fake may have
    real frames.

    Returns:
        The loss, and `clip_loss`, `frame_loss` and `accuracy` at P(fake) = 0.5, all weighted means.
    """
    target = label.astype(jnp.float32)
    clip_loss = weighted_mean(optax.sigmoid_binary_cross_entropy(logit, target), weight)
    shares = valid / jnp.maximum(1, jnp.sum(valid, axis=1, keepdims=True))
    per_frame = optax.sigmoid_binary_cross_entropy(frame_logit, frame_label.astype(jnp.float32))
    frame_loss = weighted_mean(jnp.sum(per_frame * shares, axis=1), weight)
    accuracy = weighted_mean(((logit > 0) == (label == 1)).astype(jnp.float32), weight)
    return clip_loss + frame_weight * frame_loss, {
        "clip_loss": clip_loss,
        "frame_loss": frame_loss,
        "accuracy": accuracy,
    }


def method_loss(
    logits: Float[Array, "b m"],
    method: Int[Array, " b"],
    numbers: Sequence[int],
    *,
    weight: Float[Array, " b"],
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Return the cross-entropy between forgery methods, over the clips that one of them made.

    `numbers` are the methods' numbers in the order of the logits, from `data.videos.number_of`. Reals and clips of
    other methods do not count.

    Returns:
        The loss, and `method_loss` and `method_accuracy`, weighted means.
    """
    made_by = method[:, None] == jnp.asarray(numbers, method.dtype)
    weight = weight * jnp.any(made_by, axis=1)
    loss = weighted_mean(optax.softmax_cross_entropy(logits, made_by.astype(jnp.float32)), weight)
    right = jnp.argmax(logits, axis=1) == jnp.argmax(made_by, axis=1)
    return loss, {"method_loss": loss, "method_accuracy": weighted_mean(right.astype(jnp.float32), weight)}


def mask_loss(
    logits: Float[Array, "b t h w"],
    blend_mask: Float[Array, "b t size size"],
    *,
    valid: Bool[Array, "b t"],
    weight: Float[Array, " b"],
) -> Float[Array, ""]:
    """Return the binary cross-entropy of predicted masks, averaged over cells, valid frames and clips.

    The blend mask is averaged over each cell of the prediction by antialiased linear resampling, so the sizes need not
    divide.
    """
    target = jax.image.resize(blend_mask, logits.shape, "linear")
    per_frame = jnp.mean(optax.sigmoid_binary_cross_entropy(logits, target), axis=(2, 3))
    shares = valid / jnp.maximum(1, jnp.sum(valid, axis=1, keepdims=True))
    return weighted_mean(jnp.sum(per_frame * shares, axis=1), weight)
