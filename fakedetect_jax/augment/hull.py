"""Antialiased hulls of landmarks and unions of them, evaluated analytically at any coordinates.

A convex hull is the intersection of half-planes {x : <x, d> <= h(d)} with the support function h(d) = max_i <p_i,
d>, here over 64 fixed directions d: no sorting, no gather, a fixed size. The intersection contains the hull
and exceeds an edge of length L by at most L/2 tan(pi/64): a quarter of a pixel on an edge of 10 pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.resample import Scalar
from fakedetect_jax.faces.landmarks import IBUG_LANDMARKS, LANDMARKS

_DIRECTIONS = 64


class Hull(NamedTuple):
    """A union of convex hulls, each of some spans of landmark indices.

    Attributes:
        parts: spans (start, stop) of each hull.
        growth: how far it reaches beyond the landmarks, in units of the face's width.
        raised_brows: whether the brows are lifted first, by half their distance to the line of the eyes.
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
# The first five are those of the released code, where 'face' without its forehead points is drawn one time in four; the
# regions behind them are where mouth and eye reenactment leaves its seams, and grow because erosion would take most of
# them away.
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
# Filled polygons include the pixels of their outline, half a pixel of a video in which a face is 250 pixels wide; so
# two that meet leave no line between them.
_OUTLINE = 0.2
# Distances from two hulls that differ by less, in pixels, are taken for those of neighbours.
_JOINT = 2.0


def _membership() -> np.ndarray:
    """[hull, part, landmark]; a hull of fewer parts has empty ones."""
    table = np.zeros((len(HULLS), MOST_PARTS, LANDMARKS), np.float32)
    for rows, hull in zip(table, HULLS.values(), strict=True):
        for row, part in zip(rows, hull.parts, strict=False):
            for start, stop in part:
                row[start:stop] = 1.0
    return table


def _brow_lift() -> np.ndarray:
    """[81, 81]: landmarks to how far each is moved when the brows are lifted."""
    lift = np.zeros((LANDMARKS, LANDMARKS), np.float32)
    # Under a brow's outer end lies no point of the eye, but one a quarter of the way from its corner to the jaw.
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
    """The most parts of any hull that can be drawn with these probabilities, in the order of HULLS."""
    drawn = zip(HULLS.values(), probabilities, strict=True)
    return max(len(hull.parts) for hull, probability in drawn if probability > 0)


def hull_support(
    landmarks: Float[Array, "t 81 2"],
    kind: Float[Array, " kinds"],
    *,
    face_width: Scalar,
    parts: int = MOST_PARTS,
) -> Float[Array, "t {parts} directions"]:
    """Support function, for each part and direction, of the hull that the one-hot `kind` selects in order of HULLS.

    `landmarks` and the result are in pixels of the mask, `face_width` too. `parts` may leave out those that no
    selected hull has.
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
    """Their maximum, and half a pixel more where both are equal: no line is left between neighbours."""
    near = jnp.maximum(_JOINT - jnp.abs(left - right), 0.0) / _JOINT
    return jnp.maximum(left, right) + 0.25 * _JOINT * jnp.square(near)


def hull_depth(
    support: Float[Array, "t parts directions"], x: Float[Array, "h w"], y: Float[Array, "h w"]
) -> Float[Array, "t h w"]:
    """How many pixels inside the hull the pixel centres (x, y) lie, negative outside; (x, y) are all frames'.

    `clip(depth + 0.5, 0, 1)` is the pixel's coverage, with an edge a pixel wide.
    """
    # Unrolled, so that it compiles to one fused elementwise loop: a reduction would keep 64 planes in memory.
    nearest = jnp.zeros(())
    for part in range(support.shape[1]):
        inside = support[:, part, 0, None, None] - x
        for k in range(1, _DIRECTIONS):
            angle = 2.0 * np.pi * k / _DIRECTIONS
            across = float(np.cos(angle)) * x + float(np.sin(angle)) * y
            inside = jnp.minimum(inside, support[:, part, k, None, None] - across)
        nearest = inside if part == 0 else _joined(nearest, inside)
    return nearest
