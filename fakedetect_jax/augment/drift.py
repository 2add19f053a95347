"""Drift: a source that wanders over the face from frame to frame, as forgeries made frame by frame do.

Yan et al., "Generalizing deepfake video detection with plug-and-play: video-level blending and spatiotemporal
adapter tuning" (CVPR 2025) observe that forged features drift against the face that carries them, and blend
real videos with such a drift to teach it.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.draws import Draws
from fakedetect_jax.augment.mask import Motion
from fakedetect_jax.augment.recipe import SelfBlendRecipe

# Frames over which a path is smooth: from jitter without memory to a slow slide.
_SMOOTHNESS = (0.3, 3.0)


def wander(draws: Draws, motion: Motion, *, face_width: Float[Array, ""], recipe: SelfBlendRecipe) -> Motion:
    """Add to the source's motion a random path of its place and size, with an axis over frames.

    The standard deviation of a path lies in `recipe.drift` times the face's width, drawn once a clip (uniform
    in its logarithm) as is its smoothness. A change of size moves the face's edge by as much as a shift does.
    """
    low, high = recipe.drift
    strength = low * (high / low) ** draws.wander[0]
    shortest, longest = _SMOOTHNESS
    smoothness = shortest + (longest - shortest) * draws.wander[1]
    time = np.arange(draws.wander_noise.shape[0], dtype=np.float32)
    kernel = jnp.exp(-0.5 * jnp.square((time[:, None] - time) / smoothness))
    kernel = kernel / jnp.linalg.norm(kernel, axis=1, keepdims=True)
    path = strength * jnp.matmul(kernel, draws.wander_noise, precision="highest")
    return Motion(
        centre=motion.centre,
        scale=motion.scale * jnp.exp(path[:, 2:]),
        shift=motion.shift + face_width * path[:, :2],
    )
