"""Gaussian blur whose width is drawn at run time: a banded matrix on each side."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.augment.resample import Scalar


def blur_matrix(
    positions: Float[Array, " n"], length: int, *, sigma: Scalar, radius: Scalar
) -> Float[Array, "n length"]:
    """Rows that read a signal of `length` pixels at `positions` under a Gaussian of `sigma` pixels.

    It is cut off beyond `radius` (a real number: the last tap fades in); an integer radius r at integer
    positions is OpenCV's kernel of 2r + 1 taps. At the border the taps that are left are renormalised: the
    image counts as going on as it is.
    """
    distance = jnp.abs(positions[:, None] - jnp.arange(length, dtype=jnp.float32))
    weights = jnp.exp(-0.5 * jnp.square(distance / sigma)) * jnp.clip(radius + 1.0 - distance, 0.0, 1.0)
    return weights / jnp.sum(weights, axis=1, keepdims=True)
