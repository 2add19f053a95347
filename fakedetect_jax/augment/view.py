"""What a training clip goes through whether or not it is blended: a random window, then shared colour and JPEG."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from fakedetect_jax.augment.crop import Face, Margins, Window, cut_window, face_window, locate_face
from fakedetect_jax.augment.jpeg import jpeg
from fakedetect_jax.augment.photometric import apply_photometric, draw_photometric
from fakedetect_jax.augment.recipe import SelfBlendRecipe


def random_window(
    key: Key[Array, ""], face: Face, *, height: int, width: int, recipe: SelfBlendRecipe
) -> Window:
    """The face's window with a random margin on each side, mirrored by a coin."""
    draws = jax.random.uniform(key, (5,))
    low, high = recipe.margin
    margins = low + draws[:4] * (high - low)
    mirror = (draws[4] < recipe.flip).astype(jnp.float32)
    return face_window(face, Margins(*margins), height=height, width=width, mirror=mirror)


def shared_change(
    key: Key[Array, ""], planes: Float[Array, "3 t h w"], *, recipe: SelfBlendRecipe
) -> Float[Array, "3 t h w"]:
    """One draw of colour change and JPEG quality for everything in `planes`."""
    colour_key, jpeg_key = jax.random.split(key)
    planes = apply_photometric(planes, draw_photometric(colour_key, recipe.shared))
    if recipe.jpeg == 0.0:
        return planes
    draws = jax.random.uniform(jpeg_key, (2,))
    low, high = recipe.jpeg_quality
    quality = jnp.floor(low + draws[0] * (high + 1 - low))
    return jnp.where(draws[1] < recipe.jpeg, jpeg(planes, quality=quality), planes)


def augment_clip(
    key: Key[Array, ""],
    frames: Float[Array, "t h w 3"],
    landmarks: Float[Array, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array, " t"] | None = None,
) -> Float[Array, "t size size 3"]:
    """A labelled clip through the same view, colour and JPEG changes as `self_blend` gives, without blending.

    Arguments and units are those of `self_blend`. With the same key it takes the same window and the same draws.
    """
    view_key, _, _, shared_key = jax.random.split(key, 4)
    height, width = frames.shape[1:3]
    face = locate_face(landmarks, valid, height=height, width=width)
    window = random_window(view_key, face, height=height, width=width, recipe=recipe)
    planes = shared_change(shared_key, cut_window(frames, window, size=recipe.size), recipe=recipe)
    return jnp.transpose(planes, (1, 2, 3, 0))
