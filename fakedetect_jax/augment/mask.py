"""The blend mask: hull of the landmarks, moved with the source, elastically displaced, eroded and blurred."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from fakedetect_jax.augment.blur import automatic_sigma, blur_matrix
from fakedetect_jax.augment.elastic import elastic_displacement
from fakedetect_jax.augment.hull import hull_mask, hull_points, hull_support
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.resample import apply_separable

# The loose crop of the released code: half a face box wider on each side, one box above and 0.4 below.
LOOSE_WIDTH = 2.0
LOOSE_HEIGHT = 2.4
LOOSE_RISE = 0.3
# Below this share of the maximum a pixel felt the outside through the first blur, and is eroded.
_FULL = 1.0 - 1e-3


class Motion(NamedTuple):
    """Scale and shift of the source about a centre, in output pixels: p -> centre + scale * (p - centre) + shift."""

    centre: Float[Array, "2"]
    scale: Float[Array, "2"]
    shift: Float[Array, "2"]

    def origin(self, position: Float[Array, "..."], axis: int) -> Float[Array, "..."]:
        """Where the content at `position` came from along x (axis 0) or y (axis 1)."""
        centre = self.centre[axis]
        return centre + (position - centre - self.shift[axis]) / self.scale[axis]


def draw_motion(
    key: Key[Array, ""], *, centre: Float[Array, "2"], face: Float[Array, "2"], recipe: SelfBlendRecipe
) -> Motion:
    """Scale and shift within the recipe; `centre` and `face` (width, height) of the face box in output pixels."""
    draws = jax.random.uniform(key, (2, 2))
    low, high = recipe.scale
    loose = face * jnp.array([LOOSE_WIDTH, LOOSE_HEIGHT])
    return Motion(
        centre=centre - jnp.array([0.0, LOOSE_RISE]) * face,
        scale=low + draws[0] * (high - low),
        shift=(2.0 * draws[1] - 1.0) * jnp.array(recipe.translate) * loose,
    )


def pick(draw: Float[Array, ""], values: tuple[float, ...]) -> Float[Array, ""]:
    """One of `values`, equally likely, for a uniform draw in [0, 1)."""
    index = jnp.floor(draw * len(values))
    return jnp.sum(jnp.array(values, jnp.float32) * (jnp.arange(len(values)) == index))


def _integer(draw: Float[Array, ""], low: int, high: int) -> Float[Array, ""]:
    return jnp.floor(low + draw * (high + 1 - low))


def _blur_matrices(
    radius: Float[Array, ""], sigma: Float[Array, ""], scale: Float[Array, "2"], size: int
) -> tuple[Float[Array, "size size"], Float[Array, "size size"]]:
    """Rows' and columns' matrices for a kernel given in canvas pixels; `scale` (x, y) turns them into output pixels."""
    columns = blur_matrix(size, sigma=sigma * scale[0], radius=radius * scale[0])
    rows = blur_matrix(size, sigma=sigma * scale[1], radius=radius * scale[1])
    return rows, columns


def _normalised(planes: Float[Array, "t h w"]) -> Float[Array, "t h w"]:
    highest = jnp.max(planes, axis=(1, 2), keepdims=True)
    return planes / jnp.maximum(highest, 1e-6)


def soften(
    key: Key[Array, ""], mask: Float[Array, "t h w"], *, face: Float[Array, "2"], recipe: SelfBlendRecipe
) -> Float[Array, "t h w"]:
    """Erode by a first blur of which only the plateau stays, then feather by a second one, with a maximum of 1 a frame.

    `face` is the (width, height) of the face box in pixels of the mask. A mask of zeros stays zero.
    """
    size = mask.shape[-1]
    draws = jax.random.uniform(key, (5,))
    canvas = jnp.stack([_integer(draws[i], *recipe.mask_canvas) for i in range(2)])
    scale = face * jnp.array([LOOSE_WIDTH, LOOSE_HEIGHT]) / canvas

    radius = _integer(draws[2], recipe.erode_kernel[0] // 2, recipe.erode_kernel[1] // 2)
    blurred = _normalised(
        apply_separable(*_blur_matrices(radius, automatic_sigma(radius), scale, size), mask)
    )
    # A short ramp in place of the released code's `< 1` keeps the eroded edge antialiased and safe from rounding.
    eroded = jnp.clip((blurred - _FULL) / (1.0 - _FULL) * 2.0, 0.0, 1.0)

    radius = _integer(draws[3], recipe.blur_kernel[0] // 2, recipe.blur_kernel[1] // 2)
    sigma = _integer(draws[4], *recipe.blur_sigma)
    return _normalised(apply_separable(*_blur_matrices(radius, sigma, scale, size), eroded))


def blend_mask(
    key: Key[Array, ""],
    landmarks: Float[Array, "t 81 2"],
    *,
    motion: Motion,
    face: Float[Array, "2"],
    recipe: SelfBlendRecipe,
) -> Float[Array, "t size size"]:
    """One draw of hull, displacement, softness and opacity for the clip; the hull follows each frame's landmarks.

    `landmarks` and `face` are in output pixels. Values lie in [0, the largest blend ratio].
    """
    draw_key, elastic_key, soften_key = jax.random.split(key, 3)
    draws = jax.random.uniform(draw_key, (2,))
    ends = np.cumsum(recipe.hulls)
    # The last hull takes what rounding leaves of the unit interval.
    starts = jnp.array([0.0, *ends[:-1]], jnp.float32)
    stops = jnp.array([*ends[:-1], 2.0], jnp.float32)
    kind = ((draws[0] >= starts) & (draws[0] < stops)).astype(jnp.float32)

    scale = face[0] / recipe.reference_face
    dx, dy = elastic_displacement(
        elastic_key, size=recipe.size, alpha=recipe.elastic_alpha * scale, sigma=recipe.elastic_sigma * scale
    )
    grid = jnp.arange(recipe.size, dtype=jnp.float32)
    x = motion.origin(grid[None, :] + dx, 0)
    y = motion.origin(grid[:, None] + dy, 1)
    mask = hull_mask(hull_support(landmarks, hull_points(kind)), x, y)
    return soften(soften_key, mask, face=face, recipe=recipe) * pick(draws[1], recipe.blend_ratios)
