"""What a training clip goes through, blended or not: a random window, then shared colour and JPEG."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from fakedetect_jax.augment.crop import (
    Crop,
    Face,
    Margins,
    Window,
    cut_window,
    face_window,
    landmarks_in_window,
    locate_face,
    usable_landmarks,
)
from fakedetect_jax.augment.draws import Draws, draw
from fakedetect_jax.augment.jpeg import jpeg
from fakedetect_jax.augment.photometric import apply_photometric, round_to_levels, scale_photometric
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.resample import computed_once


def random_window(draws: Draws, face: Face, *, height: int, width: int, recipe: SelfBlendRecipe) -> Window:
    """The face's window with a random margin on each side, mirrored by a coin."""
    low, high = recipe.margin
    left, top, right, bottom = (low + draws.view[i] * (high - low) for i in range(4))
    mirror = (draws.view[4] < recipe.flip).astype(jnp.float32)
    margins = Margins(left, top, right, bottom)
    return face_window(face, margins, height=height, width=width, mirror=mirror)


def shared_change(
    draws: Draws, planes: Float[Array, "3 t h w"], *, recipe: SelfBlendRecipe
) -> Float[Array, "3 t h w"]:
    """One draw of colour change and JPEG quality for everything in `planes`."""
    strengths = scale_photometric(draws.shared_colour, recipe.shared)
    planes = computed_once(apply_photometric(planes, strengths, eight_bit=recipe.eight_bit))
    if recipe.jpeg == 0.0:
        return planes
    low, high = recipe.jpeg_quality
    quality = jnp.floor(low + draws.jpeg[0] * (high + 1 - low))
    return jnp.where(draws.jpeg[1] < recipe.jpeg, jpeg(planes, quality=quality), planes)


def augment_clip(
    key: Key[Array, ""],
    frames: Float[Array, "t h w 3"],
    landmarks: Float[Array, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array, " t"] | None = None,
) -> Crop:
    """A labelled clip through the same view, colour and JPEG changes as `self_blend` gives, without blending.

    Arguments and units are those of `self_blend`. The same key gives the same window and the same changes
    there.
    """
    draws = draw(key, frames.shape[0])
    height, width = frames.shape[1:3]
    face = locate_face(landmarks, valid, height=height, width=width)
    window = random_window(draws, face, height=height, width=width, recipe=recipe)
    planes = cut_window(frames, window, size=recipe.size)
    planes = round_to_levels(planes) if recipe.eight_bit else planes
    planes = shared_change(draws, planes, recipe=recipe)
    points = landmarks_in_window(window, usable_landmarks(landmarks, face), size=recipe.size)
    return Crop(jnp.transpose(planes, (1, 2, 3, 0)), points)
