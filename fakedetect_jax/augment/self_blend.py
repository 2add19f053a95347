"""Self-blended images: a clip blended with a changed copy of itself (Shiohara and Yamasaki, CVPR 2022)."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from fakedetect_jax.augment.crop import Face, Window, landmarks_in_window, locate_face, usable_landmarks
from fakedetect_jax.augment.draws import draw
from fakedetect_jax.augment.drift import wander
from fakedetect_jax.augment.mask import blend_mask, scale_motion
from fakedetect_jax.augment.other_face import OtherFace
from fakedetect_jax.augment.photometric import cut_to_levels
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.resample import computed_once
from fakedetect_jax.augment.segment import forged_run
from fakedetect_jax.augment.source import borrow, source_and_target
from fakedetect_jax.augment.view import random_window, shared_change


class Blend(NamedTuple):
    """A pair that differs only by the forgery.

    `mask` is the opacity of the source, 0 where real and fake agree; `forged` says in which frames it is not
    0 everywhere. A clip without any forged frame is no fake: its landmarks or its hull left nothing to blend.
    `landmarks` are those of the real, in output pixels, with zeros where they are unusable.
    """

    real: Float[Array, "t size size 3"]
    fake: Float[Array, "t size size 3"]
    mask: Float[Array, "t size size 1"]
    forged: Bool[Array, " t"]
    landmarks: Float[Array, "t 81 2"]


def self_blend(
    key: Key[Array, ""],
    frames: Float[Array, "t h w 3"],
    landmarks: Float[Array, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array, " t"] | None = None,
    other: OtherFace | None = None,
) -> Blend:
    """Make a (real, fake) pair from a real clip.

    `frames` are stored face crops, RGB in [0, 1]; `landmarks` their crop pixels (81 points, 0-67 in iBUG
    order); `valid` tells frames from padding (default: all are frames). Everything is drawn once for the
    clip (see `recipe.temporal` for the other ways); the mask follows each frame's landmarks. `other` is the face
    that `recipe.other_face` may take for the source. A frame without usable landmarks gets a mask of zeros, and
    its fake equals its real.

    The face window is resampled to `recipe.size` first and all later steps run at that size, with lengths
    scaled to the face: the released code blends at the video's resolution and shrinks last. One example: use
    `jax.vmap` for a batch.
    """
    if recipe.temporal == "independent":
        return _frame_by_frame(key, frames, landmarks, recipe=recipe, valid=valid, other=other)
    draws = draw(key, frames.shape[0])
    height, width = frames.shape[1:3]
    face = locate_face(landmarks, valid, height=height, width=width)
    window = random_window(draws, face, height=height, width=width, recipe=recipe)
    centre, extent = _face_in_window(face, window, recipe.size)
    motion = scale_motion(draws.motion, centre=centre, face=extent, recipe=recipe)

    sane = usable_landmarks(landmarks, face)
    points = landmarks_in_window(window, sane, size=recipe.size)
    mask = blend_mask(draws, points, motion=motion, face=extent, recipe=recipe)
    forged = face.usable & forged_run(draws.segment, frames.shape[0], recipe=recipe)
    mask = mask * forged[:, None, None]

    if recipe.temporal == "drift":
        motion = wander(draws, motion, face_width=extent[0], recipe=recipe)
    source, target = source_and_target(
        draws,
        frames,
        window=window,
        motion=motion,
        face_width=extent[0],
        mask=mask,
        recipe=recipe,
        borrowed=None if other is None else borrow(draws, sane, face.usable, other, recipe),
    )
    # Real and fake are one array with the blend switched off and on, so that one draw of the shared change serves both.
    switch = jnp.arange(2.0)[None, :, None, None, None]
    pair = target[:, None] + switch * mask[None, None] * (source - target)[:, None]
    pair = computed_once(pair.reshape(3, -1, *pair.shape[-2:]))
    pair = cut_to_levels(pair) if recipe.eight_bit else pair
    pair = shared_change(draws, pair, recipe=recipe)
    real, fake = jnp.split(jnp.transpose(pair, (1, 2, 3, 0)), 2)
    return Blend(real, fake, mask[..., None], jnp.max(mask, axis=(1, 2)) > 0.0, points)


def _frame_by_frame(
    key: Key[Array, ""],
    frames: Float[Array, "t h w 3"],
    landmarks: Float[Array, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array, " t"] | None,
    other: OtherFace | None,
) -> Blend:
    """Every frame as a clip of its own, with its own draws: as released code does it, and as no forgery looks."""
    alone = replace(recipe, temporal="shared")
    valid = jnp.ones(frames.shape[0], bool) if valid is None else valid

    def one(key: Array, clip: tuple) -> Blend:
        frames, landmarks, valid, other = clip
        return self_blend(key, frames, landmarks, recipe=alone, valid=valid, other=other)

    clips = jax.tree.map(lambda value: value[:, None], (frames, landmarks, valid, other))
    pairs = jax.vmap(one)(jax.random.split(key, frames.shape[0]), clips)
    return Blend(*(part[:, 0] for part in pairs))


def _face_in_window(face: Face, window: Window, size: int) -> tuple[Float[Array, "2"], Float[Array, "2"]]:
    """Centre and (width, height) of the face box in output pixels."""
    scale = size / window.side
    centre_x = (face.left + face.width / 2.0 - window.left) * scale - 0.5
    centre_x = jnp.where(window.mirror > 0.5, size - 1.0 - centre_x, centre_x)
    centre_y = (face.top + face.height / 2.0 - window.top) * scale - 0.5
    return jnp.stack([centre_x, centre_y]), jnp.stack([face.width, face.height]) * scale
