"""Smooth random displacement: white noise under a Gaussian, without making the white noise at full size."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.resample import Scalar, apply_separable

# Noise knots along each axis, spread over the image and a tenth of it beyond each edge: closer together than
# the recipe's sigma for any face that fills the window.
KNOTS = 48
_OVERHANG = 0.1


def elastic_displacement(
    noise: Float[Array, "2 knots knots"], *, size: int, alpha: Scalar, sigma: Scalar
) -> tuple[Float[Array, "size size"], Float[Array, "size size"]]:
    """Displacements (dx, dy) in pixels: variance and correlation length of the classical elastic transform.

    The classical one (Simard et al. 2003) blurs uniform noise in [-1, 1] by a Gaussian of `sigma` pixels,
    times `alpha`: its standard deviation is alpha / (sqrt(12 pi) sigma). Here `noise` of mean 0 and variance
    1 on a coarse grid goes through the same Gaussian; rows of unit norm give exactly that deviation.
    """
    span = 1.0 + 2.0 * _OVERHANG
    knots = (np.arange(KNOTS) / (KNOTS - 1) * span - _OVERHANG) * size - 0.5
    offset = jnp.arange(size, dtype=jnp.float32)[:, None] - knots.astype(np.float32)
    kernel = jnp.exp(-0.5 * jnp.square(offset / sigma)) + 1e-12
    kernel = kernel / jnp.linalg.norm(kernel, axis=1, keepdims=True)
    field = apply_separable(kernel, kernel, noise) * (alpha / (jnp.sqrt(12.0 * jnp.pi) * sigma))
    return field[0], field[1]
