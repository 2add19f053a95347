"""Self-blended images: a clip blended with a changed copy of itself (Shiohara and Yamasaki, CVPR 2022)."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from fakedetect_jax.augment.crop import (
    Face,
    Window,
    landmarks_in_window,
    locate_face,
    to_crop_x,
    to_crop_y,
)
from fakedetect_jax.augment.draws import Draws, draw
from fakedetect_jax.augment.drift import wander
from fakedetect_jax.augment.mask import Motion, blend_mask, pick, scale_motion
from fakedetect_jax.augment.photometric import apply_photometric, scale_photometric, sharpen
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.resample import (
    compose,
    degradation_matrix,
    interpolation_matrix,
    resample_frames,
)
from fakedetect_jax.augment.view import random_window, shared_change


class Blend(NamedTuple):
    """A pair that differs only by the forgery; `mask` is the opacity of the source, 0 where they agree."""

    real: Float[Array, "t size size 3"]
    fake: Float[Array, "t size size 3"]
    mask: Float[Array, "t size size 1"]


def self_blend(
    key: Key[Array, ""],
    frames: Float[Array, "t h w 3"],
    landmarks: Float[Array, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array, " t"] | None = None,
) -> Blend:
    """Make a (real, fake) pair from a real clip.

    `frames` are stored face crops, RGB in [0, 1]; `landmarks` their crop pixels (81 points, 0-67 in iBUG
    order); `valid` tells frames from padding (default: all are frames). Everything is drawn once for the
    clip (see `recipe.temporal` for the other ways); the mask follows each frame's landmarks.
    A frame without usable landmarks gets a mask of zeros, and its fake equals its real.

    The face window is resampled to `recipe.size` first and all later steps run at that size, with lengths
    scaled to the face: the released code blends at the video's resolution and shrinks last. One example: use
    `jax.vmap` for a batch.
    """
    if recipe.temporal == "independent":
        return _frame_by_frame(key, frames, landmarks, recipe=recipe, valid=valid)
    draws = draw(key, frames.shape[0])
    height, width = frames.shape[1:3]
    face = locate_face(landmarks, valid, height=height, width=width)
    window = random_window(draws, face, height=height, width=width, recipe=recipe)
    centre, extent = _face_in_window(face, window, recipe.size)
    motion = scale_motion(draws.motion, centre=centre, face=extent, recipe=recipe)
    drifting = (
        wander(draws, motion, face_width=extent[0], recipe=recipe) if recipe.temporal == "drift" else motion
    )
    source, target = _source_and_target(draws, frames, window, drifting, extent[0], recipe)

    sane = jnp.where(face.usable[:, None, None], landmarks, 0.0)
    points = landmarks_in_window(window, sane, size=recipe.size)
    mask = blend_mask(draws, points, motion=motion, face=extent, recipe=recipe)
    mask = mask * face.usable[:, None, None]

    fake = target + mask * (source - target)
    # Concatenated over time, so that one draw of the shared change serves both.
    pair = shared_change(draws, jnp.concatenate([target, fake], axis=1), recipe=recipe)
    real, fake = jnp.split(jnp.transpose(pair, (1, 2, 3, 0)), 2)
    return Blend(real, fake, mask[..., None])


def _frame_by_frame(
    key: Key[Array, ""],
    frames: Float[Array, "t h w 3"],
    landmarks: Float[Array, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array, " t"] | None,
) -> Blend:
    """Every frame as a clip of its own, with its own draws: as released code does it, and as no forgery looks."""
    alone = replace(recipe, temporal="shared")
    valid = jnp.ones(frames.shape[0], bool) if valid is None else valid

    def one(key: Array, frame: Array, points: Array, counts: Array) -> Blend:
        return self_blend(key, frame[None], points[None], recipe=alone, valid=counts[None])

    pairs = jax.vmap(one)(jax.random.split(key, frames.shape[0]), frames, landmarks, valid)
    return Blend(*(part[:, 0] for part in pairs))


def _face_in_window(face: Face, window: Window, size: int) -> tuple[Float[Array, "2"], Float[Array, "2"]]:
    """Centre and (width, height) of the face box in output pixels."""
    scale = size / window.side
    centre_x = (face.left + face.width / 2.0 - window.left) * scale - 0.5
    centre_x = jnp.where(window.mirror > 0.5, size - 1.0 - centre_x, centre_x)
    centre_y = (face.top + face.height / 2.0 - window.top) * scale - 0.5
    return jnp.stack([centre_x, centre_y]), jnp.stack([face.width, face.height]) * scale


def _source_and_target(
    draws: Draws,
    frames: Float[Array, "t h w 3"],
    window: Window,
    motion: Motion,
    face_width: Float[Array, ""],
    recipe: SelfBlendRecipe,
) -> tuple[Float[Array, "3 t size size"], Float[Array, "3 t size size"]]:
    """The moved source and the unmoved target in the window; one of them is changed in colour and resolution.

    The source is sampled from the stored crop in one step, so that moving it does not blur it a second time.
    """
    size = recipe.size
    height, width = frames.shape[1:3]
    on_source = draws.change[0] < recipe.change_source
    shrink = draws.change[1] < recipe.downscale

    grid = jnp.arange(size, dtype=jnp.float32)
    step = window.side / size
    moved_y, moved_x = motion.origin(grid, 1), motion.origin(grid, 0)

    def sampler(moved: Bool[Array, ""], degrade: Float[Array, "size size"] | None) -> list[Array]:
        y = to_crop_y(window, jnp.where(moved, moved_y, grid), size=size)
        x = to_crop_x(window, jnp.where(moved, moved_x, grid), size=size)
        matrices = [
            interpolation_matrix(y, height, step=step / jnp.where(moved, motion.scale[..., 1], 1.0)),
            interpolation_matrix(x, width, step=step / jnp.where(moved, motion.scale[..., 0], 1.0)),
        ]
        return matrices if degrade is None else [compose(degrade, matrix) for matrix in matrices]

    # What the reference does at its resolution, seen at this one: a smaller face loses or gains less.
    resolution = face_width / recipe.reference_face
    factor = pick(draws.change[2], recipe.downscale_factors) * resolution
    degrade = degradation_matrix(size, jnp.where(shrink, jnp.maximum(factor, 1.0), 1.0))
    changed = resample_frames(*sampler(on_source, degrade), frames)
    plain = resample_frames(*sampler(~on_source, None), frames)

    changed = apply_photometric(changed, scale_photometric(draws.change_colour, recipe.source))
    low, high = recipe.sharpen_alpha
    alpha = low + draws.change[3] * (high - low)
    low, high = recipe.sharpen_lightness
    lightness = low + draws.change[4] * (high - low)
    sharp = sharpen(changed, alpha=alpha, lightness=lightness, resolution=jnp.minimum(resolution, 1.0))
    changed = jnp.where(shrink, changed, sharp)
    return jnp.where(on_source, changed, plain), jnp.where(on_source, plain, changed)
