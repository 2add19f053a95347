"""Antialiased hulls of landmarks and their unions, evaluated analytically at any coordinates.

A convex hull is the intersection of half-planes {x : <x, d> <= h(d)} with the support function h(d) = max_i <p_i, d>.
Taking 64 fixed directions d needs no sorting, no gather and a fixed size. The intersection then contains the hull and
exceeds an edge of length L by at most L/2 tan(pi/64): a quarter of a pixel on an edge of 10 pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.resampling import Scalar
from fakedetect_jax.faces.landmarks import IBUG_LANDMARKS, LANDMARKS

_DIRECTIONS = 64


class Hull(NamedTuple):
    """A union of convex hulls of landmarks.

    Attributes:
        parts: For each convex hull, the spans (start, stop) of its landmark indices.
        growth: Reach beyond the landmarks, in face widths.
        raised_brows: Whether the brows are raised first, by half their distance to the line of the eyes.
    """

    parts: tuple[tuple[tuple[int, int], ...], ...]
    growth: float = 0.0
    raised_brows: bool = False


_NOSE_AND_CHIN = ((27, 28), (31, 36), (8, 9))
# Jaws, cheeks, the middle down to the chin, both eyes with nose and chin, and the nose.
_COMPONENTS = (
    ((0, 9), (17, 18)),
    ((8, 17), (26, 27)),
    ((17, 20), (8, 9)),
    ((24, 27), (8, 9)),
    ((19, 25), (8, 9)),
    ((17, 22), *_NOSE_AND_CHIN),
    ((22, 27), *_NOSE_AND_CHIN),
    ((27, 36),),
)
# The first five are those of the released code, which leaves the forehead out one time in four. The other three are
# where mouth and eye reenactment leaves its seams; they grow because erosion would remove most of them.
HULLS = {
    "face": Hull((((0, LANDMARKS),),)),
    "no_forehead": Hull((((0, IBUG_LANDMARKS),),)),
    "three_part": Hull(
        (((0, 17), (48, 68)), ((27, 31), (33, 34)), ((17, 28), (0, 1), (16, 17), (33, 34))),
    ),
    "components": Hull(_COMPONENTS),
    "extended": Hull(_COMPONENTS, raised_brows=True),
    "lower_face": Hull((((3, 14), (31, 36), (48, 68)),), growth=0.05),
    "mouth": Hull((((48, 68),),), growth=0.15),
    "eyes": Hull((((17, 28), (36, 48)),), growth=0.10),
}
MOST_PARTS = max(len(hull.parts) for hull in HULLS.values())
# A filled polygon includes the pixels of its outline: half a pixel of a video in which the face is 250 pixels wide. Two
# polygons that meet therefore leave no line between them.
_OUTLINE = 0.2
# Two hulls are taken for neighbours where the distances from them differ by less than this many pixels.
_JOINT = 2.0


def _membership() -> np.ndarray:
    """Return which landmarks belong to which part of which hull, [hulls, parts, 81]; missing parts are empty."""
    table = np.zeros((len(HULLS), MOST_PARTS, LANDMARKS), np.float32)
    for rows, hull in zip(table, HULLS.values(), strict=True):
        for row, part in zip(rows, hull.parts, strict=False):
            for start, stop in part:
                row[start:stop] = 1.0
    return table


def _brow_lift() -> np.ndarray:
    """Return the matrix [81, 81] that maps landmarks to their shifts when the brows are raised."""
    lift = np.zeros((LANDMARKS, LANDMARKS), np.float32)
    # No point of the eye lies under the outer end of a brow: a point a quarter of the way from the eye to the jaw does.
    left = [{36: 0.75, 0: 0.25}, {36: 1.0}, {37: 1.0}, {38: 1.0}, {39: 1.0}]
    right = [{42: 1.0}, {43: 1.0}, {44: 1.0}, {45: 1.0}, {45: 0.75, 16: 0.25}]
    for brow, below in enumerate(left + right, 17):
        lift[brow, brow] += 0.5
        for point, share in below.items():
            lift[brow, point] -= 0.5 * share
    return lift


_MEMBERSHIP = _membership()
_GROWTH = np.array([hull.growth for hull in HULLS.values()], np.float32)
_LIFT = _brow_lift()
_LIFTED = np.array([hull.raised_brows for hull in HULLS.values()], np.float32)


def parts_of(probabilities: Sequence[float]) -> int:
    """Return the most parts of any hull that `probabilities`, in the order of HULLS, can draw."""
    drawn = zip(HULLS.values(), probabilities, strict=True)
    return max(len(hull.parts) for hull, probability in drawn if probability > 0)


def hull_support(
    landmarks: Float[Array | np.ndarray, "t 81 2"],
    kind: Float[Array | np.ndarray, " kinds"],
    *,
    face_width: Scalar,
    parts: int = MOST_PARTS,
) -> Float[Array, "t {parts} directions"]:
    """Return the support function, for each part and direction, of one of HULLS.

    Args:
        landmarks: In pixels of the mask, as the result.
        kind: One-hot in the order of HULLS.
        face_width: In pixels of the mask.
        parts: How many parts to evaluate; at least as many as the hull has.
    """
    angle = np.arange(_DIRECTIONS) * (2.0 * np.pi / _DIRECTIONS)
    directions = np.stack([np.cos(angle), np.sin(angle)]).astype(np.float32)
    precision = jax.lax.Precision.HIGHEST
    lifted = jnp.einsum("ij,tjc->tic", _LIFT, landmarks, precision=precision)
    points = landmarks + jnp.sum(kind * _LIFTED) * lifted
    projected = jnp.matmul(points, directions, precision=precision)[:, None]
    member = jnp.einsum("k,kpi->pi", kind, _MEMBERSHIP[:, :parts])
    growth = jnp.sum(kind * _GROWTH) * face_width + _OUTLINE
    return jnp.max(projected + (member[..., None] - 1.0) * 1e9, axis=2) + growth


def _joined(left: Float[Array, "t h w"], right: Float[Array, "t h w"]) -> Float[Array, "t h w"]:
    """Return the maximum of two depths, half a pixel more where they are equal: no line stays between neighbours."""
    near = jnp.maximum(_JOINT - jnp.abs(left - right), 0.0) / _JOINT
    return jnp.maximum(left, right) + 0.25 * _JOINT * jnp.square(near)


def hull_depth(
    support: Float[Array, "t parts directions"],
    x: Float[Array | np.ndarray, "h w"],
    y: Float[Array | np.ndarray, "h w"],
) -> Float[Array, "t h w"]:
    """Return how many pixels inside the hull the points (x, y) lie; negative outside.

    `clip(depth + 0.5, 0, 1)` is a pixel's coverage, with an edge one pixel wide.

    Args:
        support: Support function of each part, as `hull_support` returns it.
        x: Coordinates of the points, the same for all frames.
        y: As `x`.
    """
    # Unrolled to compile to one fused elementwise loop: a reduction would keep 64 planes in memory.
    nearest = jnp.zeros(())
    for part in range(support.shape[1]):
        inside = support[:, part, 0, None, None] - x
        for k in range(1, _DIRECTIONS):
            angle = 2.0 * np.pi * k / _DIRECTIONS
            across = float(np.cos(angle)) * x + float(np.sin(angle)) * y
            inside = jnp.minimum(inside, support[:, part, k, None, None] - across)
        nearest = inside if part == 0 else _joined(nearest, inside)
    return nearest
