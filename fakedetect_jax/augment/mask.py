"""The blend mask: a hull of the landmarks, moved with the source, displaced elastically, eroded and blurred."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.hull import hull_depth, hull_support, parts_of
from fakedetect_jax.augment.recipe import Draws, SelfBlendRecipe
from fakedetect_jax.augment.resampling import Scalar, apply_separable, blur_matrix, elastic_displacement

# The loose crop of the released code: half a face box wider on each side, one box above and 0.4 below.
LOOSE_WIDTH = 2.0
LOOSE_HEIGHT = 2.4
LOOSE_RISE = 0.3
# A mask that covers less than this share of every pixel is a sliver of a hull outside the window and counts as none.
_LEAST = 1e-3
# On the canvas, pixels on the edge of the mask are not full, and erosion starts from the innermost of them: it removes
# this share of a pixel more than its kernel says, as in both other implementations in tests/augment.
_PARTIAL = 0.3
# Side of the mask while it is displaced and blurred: in the released code a face spans 96 to 128 pixels then, too.
_WORK_SIZE = 128
# Border around the window, as a share of it, in which the mask is made too.
_PAD = 0.15


class Motion(NamedTuple):
    """Motion of the source in output pixels: p -> centre + scale * (p - centre) + shift.

    `scale` and `shift` are those of the clip, or have an axis over frames.
    """

    centre: Float[Array, "2"]
    scale: Float[Array, "*t 2"]
    shift: Float[Array, "*t 2"]

    def origin(self, position: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        """Return where the content at `position` came from along x (axis 0) or y (axis 1)."""
        centre, scale, shift = self.centre[axis], self.scale[..., axis, None], self.shift[..., axis, None]
        return centre + (position - centre - shift) / scale


def scale_motion(
    draws: Float[Array, "4"], *, centre: Float[Array, "2"], face: Float[Array, "2"], recipe: SelfBlendRecipe
) -> Motion:
    """Return the motion for `draws` in [0, 1) and a face box: `centre` and (width, height) in output pixels."""
    low, high = recipe.scale
    loose = face * jnp.array([LOOSE_WIDTH, LOOSE_HEIGHT])
    return Motion(
        centre=centre - jnp.array([0.0, LOOSE_RISE]) * face,
        scale=low + draws[:2] * (high - low),
        shift=(2.0 * draws[2:] - 1.0) * jnp.array(recipe.translate) * loose,
    )


def pick(draw: Scalar, values: tuple[float, ...]) -> Float[Array, ""]:
    """Return one of `values`, equally likely, for a uniform draw in [0, 1)."""
    index = jnp.floor(draw * len(values))
    return jnp.sum(jnp.array(values, jnp.float32) * (jnp.arange(len(values)) == index))


def _integer(draw: Scalar, low: int, high: int) -> Float[Array, ""]:
    return jnp.floor(low + draw * (high + 1 - low))


def _normalised(planes: Float[Array, "t h w"]) -> Float[Array, "t h w"]:
    highest = jnp.max(planes, axis=(1, 2), keepdims=True)
    return planes / jnp.maximum(highest, 1e-6)


def _lowest_within(radius: Float[Array, ""], planes: Float[Array, "t h w"], *, reach: int) -> Array:
    """Return the least value within `radius` (at most `reach`) pixels of each place of the last axis.

    Values are interpolated linearly between pixels and repeated beyond the border.
    """
    length = planes.shape[-1]
    padded = jnp.pad(planes, ((0, 0), (0, 0), (reach, reach)), mode="edge")
    lowest = planes
    for side in (-1, 1):
        previous = within = planes
        for step in range(1, reach + 1):
            start = reach + side * step
            value = padded[..., start : start + length]
            share = jnp.clip(radius - (step - 1), 0.0, 1.0)
            within = within + share * (value - previous)
            lowest = jnp.minimum(lowest, within)
            previous = value
    return lowest


def erode(depth: Float[Array, "t h w"], radii: Float[Array, "2"], *, reach: int) -> Float[Array, "t h w"]:
    """Erode a mask by a rectangle with half sides `radii` (x, y) and return its coverage in [0, 1].

    A mask in which the rectangle finds no place keeps the spot that is deepest under it. A mask that covers no pixel
    stays empty.

    Args:
        depth: How many pixels inside the mask each pixel lies.
        radii: In pixels.
        reach: Bound on the radii.
    """
    across = _lowest_within(radii[0], depth, reach=reach)
    eroded = jnp.swapaxes(_lowest_within(radii[1], jnp.swapaxes(across, 1, 2), reach=reach), 1, 2)
    deepest = jnp.max(eroded, axis=(1, 2), keepdims=True)
    covers = jnp.max(depth, axis=(1, 2), keepdims=True) > _LEAST - 0.5
    return jnp.clip(eroded + jnp.maximum(0.5 - deepest, 0.0) + 0.5, 0.0, 1.0) * covers


def soften(
    draws: Float[Array | np.ndarray, "5"],
    depth: Float[Array | np.ndarray, "t padded padded"],
    positions: Float[Array | np.ndarray, " size"],
    *,
    face: Float[Array | np.ndarray, "2"],
    recipe: SelfBlendRecipe,
) -> Float[Array, "t size size"]:
    """Erode the mask, then feather it by a blur; each frame's maximum becomes 1.

    The recipe erodes by a first blur that keeps full pixels only. A pixel is full after a blur if all pixels under the
    kernel are, whatever their weights: an erosion by the kernel's square.

    Args:
        draws: Uniform in [0, 1).
        depth: How many pixels inside the mask each pixel lies.
        positions: Places of the result's rows and columns, in pixels of the mask.
        face: (width, height) of the face box in pixels of the mask.
        recipe: Its canvas, kernels and sigma.
    """
    canvas = jnp.stack([_integer(draws[i], *recipe.mask_canvas) for i in range(2)])
    scale = face * jnp.array([LOOSE_WIDTH, LOOSE_HEIGHT]) / canvas
    length = depth.shape[-1]

    radius = _integer(draws[2], recipe.erode_kernel[0] // 2, recipe.erode_kernel[1] // 2)
    # The window is at least as large as the face box.
    window = length / (1 + 2 * _PAD)
    reach = math.ceil(
        (recipe.erode_kernel[1] // 2 + _PARTIAL) * LOOSE_HEIGHT * window / recipe.mask_canvas[0]
    )
    eroded = erode(depth, (radius + _PARTIAL * (radius > 0)) * scale, reach=reach)

    radius = _integer(draws[3], recipe.blur_kernel[0] // 2, recipe.blur_kernel[1] // 2)
    sigma = _integer(draws[4], *recipe.blur_sigma)
    columns, rows = (
        blur_matrix(positions, length, sigma=sigma * scale[axis], radius=radius * scale[axis])
        for axis in (0, 1)
    )
    return _normalised(apply_separable(rows, columns, eroded))


def _one_hot(draw: Scalar, probabilities: tuple[float, ...]) -> Float[Array, " kinds"]:
    ends = np.cumsum(probabilities)[:-1]
    # The last one takes what rounding leaves over of the unit interval.
    draw = jnp.asarray(draw)
    starts = jnp.array([0.0, *ends], jnp.float32)
    stops = jnp.array([*ends, 2.0], jnp.float32)
    drawn = jnp.asarray(draw)
    return ((drawn >= starts) & (drawn < stops)).astype(jnp.float32)


def blend_mask(
    draws: Draws,
    landmarks: Float[Array, "t 81 2"],
    *,
    motion: Motion,
    face: Float[Array, "2"],
    recipe: SelfBlendRecipe,
) -> Float[Array, "t size size"]:
    """Return the mask of a clip: one hull, displacement, softness and opacity, following each frame's landmarks.

    Args:
        draws: The clip's random numbers.
        landmarks: Finite, in output pixels.
        motion: Of the source, for the clip.
        face: (width, height) of the face box in output pixels.
        recipe: Its ranges.

    Returns:
        Opacity of the source, in [0, the largest blend ratio].
    """
    # The forehead may reach beyond the window. Erosion and blur need to see it there to be right inside.
    work = min(recipe.size, _WORK_SIZE)
    pad = round(_PAD * work)
    padded = work + 2 * pad
    unit = recipe.size / work
    points = (landmarks + 0.5) / unit - 0.5
    motion = Motion((motion.centre + 0.5) / unit - 0.5, motion.scale, motion.shift / unit)
    face = face / unit
    scale = face[0] / recipe.reference_face
    dx, dy = elastic_displacement(
        draws.elastic, size=padded, alpha=recipe.elastic_alpha * scale, sigma=recipe.elastic_sigma * scale
    )
    grid = jnp.arange(padded, dtype=jnp.float32) - pad
    x = motion.origin(grid[None, :] + dx, 0)
    y = motion.origin(grid[:, None] + dy, 1)
    kind = _one_hot(draws.mask[0], recipe.hulls)
    support = hull_support(points, kind, face_width=face[0], parts=parts_of(recipe.hulls))
    depth = hull_depth(support, x, y)
    opacity = pick(draws.mask[1], recipe.blend_ratios)
    positions = (jnp.arange(recipe.size, dtype=jnp.float32) + 0.5) / unit - 0.5 + pad
    return soften(draws.mask[2:], depth, positions, face=face, recipe=recipe) * opacity
