"""Antialiased convex hulls of landmarks, evaluated analytically at any coordinates.

The hull is the intersection of half-planes {x : <x, d> <= h(d)} with the support function h(d) = max_i <p_i, d>, here over
64 fixed directions d: no sorting, no gather, a fixed size. The intersection contains the hull and exceeds an edge of
length L by at most L/2 tan(pi/64): a quarter of a pixel on an edge of 10 pixels.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_DIRECTIONS = 64


def _membership(*spans: tuple[int, int]) -> np.ndarray:
    row = np.zeros(81, np.float32)
    for start, stop in spans:
        row[start:stop] = 1.0
    return row


# Which points span the hull of each kind. The regions are where mouth and eye reenactment leaves its seams.
HULLS = {
    "face": _membership((0, 81)),
    "no_forehead": _membership((0, 68)),
    "lower_face": _membership((3, 14), (31, 36), (48, 68)),
    "eyes": _membership((17, 28), (36, 48)),
}
_MEMBERSHIP = np.stack(list(HULLS.values()))


def hull_points(kind: Float[Array, " kinds"]) -> Float[Array, "81"]:
    """Membership (0 or 1) of each landmark in the hull that the one-hot `kind` selects, in the order of HULLS."""
    return kind @ _MEMBERSHIP


def hull_support(
    landmarks: Float[Array, "t 81 2"], member: Float[Array, "81"]
) -> Float[Array, "t directions"]:
    """Support function of the member landmarks, in their unit, for each fixed direction."""
    angle = np.arange(_DIRECTIONS) * (2.0 * np.pi / _DIRECTIONS)
    directions = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    projected = jnp.matmul(landmarks, directions, precision=jax.lax.Precision.HIGHEST)
    return jnp.max(projected + (member[:, None] - 1.0) * 1e9, axis=1)


def hull_mask(
    support: Float[Array, "t directions"], x: Float[Array, "h w"], y: Float[Array, "h w"]
) -> Float[Array, "t h w"]:
    """Coverage in [0, 1] of pixels with centres (x, y), shared by all frames: 1 inside, a ramp one pixel wide."""
    # Unrolled, so that it compiles to one fused elementwise loop: a reduction would keep 64 planes in memory.
    inside = support[:, 0, None, None] - x
    for k in range(1, _DIRECTIONS):
        angle = 2.0 * np.pi * k / _DIRECTIONS
        across = float(np.cos(angle)) * x + float(np.sin(angle)) * y
        inside = jnp.minimum(inside, support[:, k, None, None] - across)
    return jnp.clip(inside + 0.5, 0.0, 1.0)
