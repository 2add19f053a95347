"""The blend mask: hull of the landmarks, moved with the source, elastically displaced, eroded and blurred."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.blur import automatic_sigma, blur_matrix
from fakedetect_jax.augment.draws import Draws
from fakedetect_jax.augment.elastic import elastic_displacement
from fakedetect_jax.augment.hull import hull_mask, hull_support, parts_of
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.resample import apply_separable

# The loose crop of the released code: half a face box wider on each side, one box above and 0.4 below.
LOOSE_WIDTH = 2.0
LOOSE_HEIGHT = 2.4
LOOSE_RISE = 0.3
# A pixel of which the first blur leaves less than all but this share of the maximum felt the outside, and is eroded.
_LACK = 1e-3
# A mask of which the first blur leaves less than this nowhere covers a pixel, and rounding drowns what it lacks.
_LEAST = 1e-3
# The released code moves, displaces and shrinks the mask one after the other; each interpolation softens its edge, of
# which the erosion leaves only what is full. Here it is evaluated in one step: in reference pixels, what that lacks.
_SOFTENED = 0.45
# Side of the mask that is displaced and blurred: in the released code a face spans 96 to 128 pixels there too.
_WORK_SIZE = 128
# Border around the window in which the mask is made too, as a share of the window.
_PAD = 0.15


class Motion(NamedTuple):
    """Motion of the source in output pixels: p -> centre + scale * (p - centre) + shift.

    One for the clip, or with an axis over frames.
    """

    centre: Float[Array, "2"]
    scale: Float[Array, "*t 2"]
    shift: Float[Array, "*t 2"]

    def origin(self, position: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        """Where the content at `position` came from along x (axis 0) or y (axis 1), for each frame if they differ."""
        centre, scale, shift = self.centre[axis], self.scale[..., axis, None], self.shift[..., axis, None]
        return centre + (position - centre - shift) / scale


def scale_motion(
    draws: Float[Array, "4"], *, centre: Float[Array, "2"], face: Float[Array, "2"], recipe: SelfBlendRecipe
) -> Motion:
    """Motion within the recipe for a face box of this `centre` and size (width, height) in output pixels."""
    low, high = recipe.scale
    loose = face * jnp.array([LOOSE_WIDTH, LOOSE_HEIGHT])
    return Motion(
        centre=centre - jnp.array([0.0, LOOSE_RISE]) * face,
        scale=low + draws[:2] * (high - low),
        shift=(2.0 * draws[2:] - 1.0) * jnp.array(recipe.translate) * loose,
    )


def pick(draw: Float[Array, ""], values: tuple[float, ...]) -> Float[Array, ""]:
    """One of `values`, equally likely, for a uniform draw in [0, 1)."""
    index = jnp.floor(draw * len(values))
    return jnp.sum(jnp.array(values, jnp.float32) * (jnp.arange(len(values)) == index))


def _integer(draw: Float[Array, ""], low: int, high: int) -> Float[Array, ""]:
    return jnp.floor(low + draw * (high + 1 - low))


def _normalised(planes: Float[Array, "t h w"]) -> Float[Array, "t h w"]:
    highest = jnp.max(planes, axis=(1, 2), keepdims=True)
    return planes / jnp.maximum(highest, 1e-6)


def soften(
    draws: Float[Array, "5"],
    mask: Float[Array, "t padded padded"],
    positions: Float[Array, " size"],
    *,
    face: Float[Array, "2"],
    recipe: SelfBlendRecipe,
) -> Float[Array, "t size size"]:
    """Erode by a blur of which only the plateau stays, feather by a second one; each frame's maximum is 1.

    `face` is the (width, height) of the face box and `positions` are the places of the result's rows and
    columns, in pixels of the mask. A mask of zeros stays zero.
    """
    canvas = jnp.stack([_integer(draws[i], *recipe.mask_canvas) for i in range(2)])
    scale = face * jnp.array([LOOSE_WIDTH, LOOSE_HEIGHT]) / canvas
    length = mask.shape[-1]

    def blur(planes: Array, at: Array, radius: Array, sigma: Array) -> Array:
        columns, rows = (
            blur_matrix(at, length, sigma=sigma * scale[axis], radius=radius * scale[axis]) for axis in (0, 1)
        )
        return apply_separable(rows, columns, planes)

    radius = _integer(draws[2], recipe.erode_kernel[0] // 2, recipe.erode_kernel[1] // 2)
    everywhere = jnp.arange(length, dtype=jnp.float32)
    # The outside is blurred, not the mask: near the plateau it is a small number with all its digits, and 1 minus the
    # blurred mask would be a difference of two large ones.
    outside = blur(1.0 - mask, everywhere, radius, automatic_sigma(radius))
    least = jnp.min(outside, axis=(1, 2), keepdims=True)
    highest = 1.0 - least
    lack = (outside - least) / jnp.maximum(highest, _LEAST)
    # A short ramp, for the released code's `< 1`, keeps the eroded edge antialiased and safe from rounding.
    eroded = jnp.clip((_LACK - lack) / _LACK * 2.0, 0.0, 1.0) * (highest > _LEAST)

    radius = _integer(draws[3], recipe.blur_kernel[0] // 2, recipe.blur_kernel[1] // 2)
    sigma = _integer(draws[4], *recipe.blur_sigma)
    return _normalised(blur(eroded, positions, radius, sigma))


def _one_hot(draw: Float[Array, ""], probabilities: tuple[float, ...]) -> Float[Array, " kinds"]:
    ends = np.cumsum(probabilities)[:-1]
    # The last one takes what rounding leaves of the unit interval.
    starts = jnp.array([0.0, *ends], jnp.float32)
    stops = jnp.array([*ends, 2.0], jnp.float32)
    return ((draw >= starts) & (draw < stops)).astype(jnp.float32)


def blend_mask(
    draws: Draws,
    landmarks: Float[Array, "t 81 2"],
    *,
    motion: Motion,
    face: Float[Array, "2"],
    recipe: SelfBlendRecipe,
) -> Float[Array, "t size size"]:
    """One hull, displacement, softness and opacity for the clip; the hull follows each frame's landmarks.

    `landmarks` and `face` (width, height) are in output pixels. Values lie in [0, the largest blend ratio].
    """
    # The forehead may reach beyond the window, where erosion and blur must know it to be right inside.
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
    mask = hull_mask(support - _SOFTENED * scale, x, y)
    opacity = pick(draws.mask[1], recipe.blend_ratios)
    positions = (jnp.arange(recipe.size, dtype=jnp.float32) + 0.5) / unit - 0.5 + pad
    return soften(draws.mask[2:], mask, positions, face=face, recipe=recipe) * opacity
