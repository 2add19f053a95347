"""Means over the frames of a clip that count."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def masked_mean(values: Float[Array, "b t *rest"], valid: Bool[Array, "b t"]) -> Float[Array, "b *rest"]:
    """Mean over the valid frames; zero for a clip without any."""
    mask = valid.reshape(valid.shape + (1,) * (values.ndim - 2))
    count = jnp.maximum(mask.sum(axis=1), 1)
    return jnp.where(mask, values, 0).sum(axis=1) / count
