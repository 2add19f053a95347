"""Gaussian blur whose width is drawn at run time: a banded matrix on each side."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.augment.resample import Scalar


def blur_matrix(size: int, *, sigma: Scalar, radius: Scalar, pad: int = 0) -> Float[Array, "size padded"]:
    """Rows of a Gaussian of `sigma` pixels cut off beyond `radius` (a real number: the last tap fades in).

    An integer radius r is OpenCV's kernel of 2r + 1 taps. The input may have `pad` more pixels than the
    output on both sides. At its border the taps that are left are renormalised: the image counts as going on
    as it is.
    """
    output = jnp.arange(size, dtype=jnp.float32)
    source = jnp.arange(size + 2 * pad, dtype=jnp.float32) - pad
    distance = jnp.abs(output[:, None] - source)
    weights = jnp.exp(-0.5 * jnp.square(distance / sigma)) * jnp.clip(radius + 1.0 - distance, 0.0, 1.0)
    return weights / jnp.sum(weights, axis=1, keepdims=True)


def automatic_sigma(radius: Scalar) -> Scalar:
    """The sigma that OpenCV gives a kernel of 2 `radius` + 1 taps."""
    return 0.3 * (radius - 1.0) + 0.8
