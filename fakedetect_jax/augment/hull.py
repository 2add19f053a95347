"""Antialiased convex hulls of landmarks, evaluated analytically at any coordinates.

The hull is the intersection of half-planes {x : <x, d> <= h(d)} with the support function h(d) = max_i <p_i,
d>, here over 64 fixed directions d: no sorting, no gather, a fixed size. The intersection contains the hull
and exceeds an edge of length L by at most L/2 tan(pi/64): a quarter of a pixel on an edge of 10 pixels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.resample import Scalar

_DIRECTIONS = 64


class Hull(NamedTuple):
    """Index spans of the landmarks that make a hull; its growth beyond them in units of the face's width."""

    spans: tuple[tuple[int, int], ...]
    growth: float = 0.0


# The regions are where mouth and eye reenactment leaves its seams. They grow because erosion would take most
# of them away.
HULLS = {
    "face": Hull(((0, 81),)),
    "no_forehead": Hull(((0, 68),)),
    "lower_face": Hull(((3, 14), (31, 36), (48, 68)), growth=0.05),
    "mouth": Hull(((48, 68),), growth=0.15),
    "eyes": Hull(((17, 28), (36, 48)), growth=0.10),
}


def _membership() -> np.ndarray:
    table = np.zeros((len(HULLS), 81), np.float32)
    for row, hull in zip(table, HULLS.values(), strict=True):
        for start, stop in hull.spans:
            row[start:stop] = 1.0
    return table


_MEMBERSHIP = _membership()
_GROWTH = np.array([hull.growth for hull in HULLS.values()], np.float32)


def hull_support(
    landmarks: Float[Array, "t 81 2"], kind: Float[Array, " kinds"], *, face_width: Scalar
) -> Float[Array, "t directions"]:
    """Support function, for each direction, of the hull that the one-hot `kind` selects in order of HULLS.

    `landmarks`, `face_width` and the result share one unit.
    """
    angle = np.arange(_DIRECTIONS) * (2.0 * np.pi / _DIRECTIONS)
    directions = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    projected = jnp.matmul(landmarks, directions, precision=jax.lax.Precision.HIGHEST)
    member = jnp.sum(kind[:, None] * _MEMBERSHIP, axis=0)
    growth = jnp.sum(kind * _GROWTH) * face_width
    return jnp.max(projected + (member[:, None] - 1.0) * 1e9, axis=1) + growth


def hull_mask(
    support: Float[Array, "t directions"], x: Float[Array, "h w"], y: Float[Array, "h w"]
) -> Float[Array, "t h w"]:
    """Coverage in [0, 1] of pixels with centres (x, y), shared by all frames; the edge is a pixel wide."""
    # Unrolled, so that it compiles to one fused elementwise loop: a reduction would keep 64 planes in memory.
    inside = support[:, 0, None, None] - x
    for k in range(1, _DIRECTIONS):
        angle = 2.0 * np.pi * k / _DIRECTIONS
        across = float(np.cos(angle)) * x + float(np.sin(angle)) * y
        inside = jnp.minimum(inside, support[:, k, None, None] - across)
    return jnp.clip(inside + 0.5, 0.0, 1.0)
