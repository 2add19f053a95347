"""Mirror 81 landmarks: the x coordinate is reflected, and left and right points change names."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.faces.landmarks import LANDMARKS, MIRROR_ORDER

_PERMUTATION = np.eye(LANDMARKS, dtype=np.float32)[MIRROR_ORDER]


def mirror_landmarks(landmarks: Float[Array, "t 81 2"], *, width: int) -> Float[Array, "t 81 2"]:
    """Finite landmarks of the mirrored image of `width` pixels (pixel centres at integer coordinates)."""
    # A matrix, because a gather along a sharded batch may cost communication.
    renamed = jnp.einsum("ij,tjc->tic", _PERMUTATION, landmarks, precision=jax.lax.Precision.HIGHEST)
    return jnp.stack([width - 1.0 - renamed[..., 0], renamed[..., 1]], axis=-1)
