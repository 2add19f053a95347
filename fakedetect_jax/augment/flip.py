"""Mirror 81 landmarks: the x coordinate is reflected, and left and right points change names."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def _mirror_order() -> np.ndarray:
    order = np.arange(81)
    order[0:17] = np.arange(16, -1, -1)
    order[17:27] = np.arange(26, 16, -1)
    order[31:36] = np.arange(35, 30, -1)
    for left, right in ((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)):
        order[left], order[right] = right, left
    order[48:55] = np.arange(54, 47, -1)
    order[55:60] = np.arange(59, 54, -1)
    order[60:65] = np.arange(64, 59, -1)
    order[65:68] = np.arange(67, 64, -1)
    order[68:81] = np.arange(80, 67, -1)
    return order


# Point i of a mirrored face is point MIRROR_ORDER[i] of the original; 81-point layout, 0-67 in iBUG order.
MIRROR_ORDER = _mirror_order()
_PERMUTATION = np.eye(81, dtype=np.float32)[MIRROR_ORDER]


def mirror_landmarks(landmarks: Float[Array, "t 81 2"], *, width: int) -> Float[Array, "t 81 2"]:
    """Finite landmarks of the mirrored image of `width` pixels (pixel centres at integer coordinates)."""
    # A matrix, because a gather along a sharded batch may cost communication.
    renamed = jnp.einsum("ij,tjc->tic", _PERMUTATION, landmarks, precision=jax.lax.Precision.HIGHEST)
    return jnp.stack([width - 1.0 - renamed[..., 0], renamed[..., 1]], axis=-1)
