"""What training does to a clip: self-blend it (Shiohara and Yamasaki, CVPR 2022), or change its view and colours alone.

`self_blend` cuts a window around the face, makes a source and a target, moves the source and changes one of the two,
draws a mask from the landmarks, blends, and gives real and fake the same colour change and JPEG compression.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
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
    to_crop_x,
    to_crop_y,
    usable_landmarks,
)
from fakedetect_jax.augment.extensions import (
    OTHER_SCALE,
    Borrowed,
    OtherFace,
    borrow,
    drift,
    forged_run,
    match_colours,
)
from fakedetect_jax.augment.jpeg import jpeg
from fakedetect_jax.augment.mask import Motion, blend_mask, pick, scale_motion
from fakedetect_jax.augment.photometric import (
    apply_photometric,
    cut_to_levels,
    round_to_levels,
    scale_photometric,
    sharpen,
)
from fakedetect_jax.augment.recipe import Draws, SelfBlendRecipe, draw
from fakedetect_jax.augment.resampling import Sampling, computed_once, degraded_grid, resample_frames

# How much a moved source may be magnified against its target, drift included.
_MAGNIFIED = 1.1


class Blend(NamedTuple):
    """A real and a fake clip that differ by the forgery alone.

    Attributes:
        real: RGB in [0, 1].
        fake: RGB in [0, 1].
        mask: Opacity of the source in [0, 1]; 0 where real and fake agree.
        forged: In which frames the mask is not 0 everywhere. A clip without any is not a fake: its landmarks or its
            hull left nothing to blend.
        landmarks: Those of the real, in output pixels, with zeros where they are unusable.
    """

    real: Float[Array, "t size size 3"]
    fake: Float[Array, "t size size 3"]
    mask: Float[Array, "t size size 1"]
    forged: Bool[Array, " t"]
    landmarks: Float[Array, "t 81 2"]


def self_blend(
    key: Key[Array, ""],
    frames: Float[Array | np.ndarray, "t h w 3"],
    landmarks: Float[Array | np.ndarray, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array | np.ndarray, " t"] | None = None,
    other: OtherFace | None = None,
) -> Blend:
    """Make a pair of a real and a fake clip from a real one.

    Everything is drawn once for the clip unless `recipe.temporal` says otherwise, and the mask follows each frame's
    landmarks. A frame without usable landmarks gets a mask of zeros, and its fake equals its real.

    The window around the face is resampled to `recipe.size` first. All later steps run at that size, with lengths
    scaled to the face, whereas the released code blends at the video's resolution and shrinks last.

    Args:
        key: Decides every draw.
        frames: Stored face crops of one clip, RGB in [0, 1]; use `jax.vmap` for a batch.
        landmarks: In pixels of the crops, in the layout of `fakedetect_jax.faces.landmarks`.
        recipe: Probabilities and ranges; static under jit.
        valid: Which frames are not padding; all if None.
        other: The face that `recipe.other_face` may take as the source.

    Returns:
        Frames of `recipe.size` pixels a side.

    Example:
        >>> frames = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3))
        >>> landmarks = jax.random.uniform(jax.random.key(1), (2, 81, 2), minval=16.0, maxval=48.0)
        >>> blend = jax.jit(self_blend, static_argnames="recipe")
        >>> pair = blend(jax.random.key(2), frames, landmarks, recipe=SelfBlendRecipe(size=32))
        >>> pair.real.shape, pair.fake.shape, pair.mask.shape
        ((2, 32, 32, 3), (2, 32, 32, 3), (2, 32, 32, 1))
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
        motion = drift(draws, motion, face_width=extent[0], recipe=recipe)
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
    # One array holds the real (blend off) and the fake (blend on), so that one draw of the shared change serves both.
    switch = jnp.arange(2.0)[None, :, None, None, None]
    pair = target[:, None] + switch * mask[None, None] * (source - target)[:, None]
    pair = computed_once(pair.reshape(3, -1, *pair.shape[-2:]))
    pair = cut_to_levels(pair) if recipe.eight_bit else pair
    pair = shared_change(draws, pair, recipe=recipe)
    real, fake = jnp.split(jnp.transpose(pair, (1, 2, 3, 0)), 2)
    return Blend(real, fake, mask[..., None], jnp.max(mask, axis=(1, 2)) > 0.0, points)


def augment_clip(
    key: Key[Array, ""],
    frames: Float[Array | np.ndarray, "t h w 3"],
    landmarks: Float[Array | np.ndarray, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array | np.ndarray, " t"] | None = None,
) -> Crop:
    """Change the view, colour and JPEG quality of a labelled clip as `self_blend` does, without blending.

    Arguments and units are those of `self_blend`, where the same key gives the same window and the same changes.
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


def _frame_by_frame(
    key: Key[Array, ""],
    frames: Float[Array | np.ndarray, "t h w 3"],
    landmarks: Float[Array | np.ndarray, "t 81 2"],
    *,
    recipe: SelfBlendRecipe,
    valid: Bool[Array | np.ndarray, " t"] | None,
    other: OtherFace | None,
) -> Blend:
    """Blend every frame as a clip of its own: the released code does so, but no forgery looks like that."""
    alone = replace(recipe, temporal="shared")
    valid = jnp.ones(frames.shape[0], bool) if valid is None else valid

    def one(key: Array, clip: tuple) -> Blend:
        frames, landmarks, valid, other = clip
        return self_blend(key, frames, landmarks, recipe=alone, valid=valid, other=other)

    clips = jax.tree.map(lambda value: value[:, None], (frames, landmarks, valid, other))
    pairs = jax.vmap(one)(jax.random.split(key, frames.shape[0]), clips)
    return Blend(*(part[:, 0] for part in pairs))


def _face_in_window(face: Face, window: Window, size: int) -> tuple[Float[Array, "2"], Float[Array, "2"]]:
    """Return the centre and the (width, height) of the face box in output pixels."""
    scale = size / window.side
    centre_x = (face.left + face.width / 2.0 - window.left) * scale - 0.5
    centre_x = jnp.where(window.mirror > 0.5, size - 1.0 - centre_x, centre_x)
    centre_y = (face.top + face.height / 2.0 - window.top) * scale - 0.5
    return jnp.stack([centre_x, centre_y]), jnp.stack([face.width, face.height]) * scale


def random_window(draws: Draws, face: Face, *, height: int, width: int, recipe: SelfBlendRecipe) -> Window:
    """Return the window around the face with a random margin on each side, mirrored at random."""
    low, high = recipe.margin
    left, top, right, bottom = (low + draws.view[i] * (high - low) for i in range(4))
    mirror = (draws.view[4] < recipe.flip).astype(jnp.float32)
    margins = Margins(left, top, right, bottom)
    return face_window(face, margins, height=height, width=width, mirror=mirror)


def shared_change(
    draws: Draws, planes: Float[Array, "3 t h w"], *, recipe: SelfBlendRecipe
) -> Float[Array, "3 t h w"]:
    """Apply one draw of colour change and JPEG quality to everything in `planes`."""
    strengths = scale_photometric(draws.shared_colour, recipe.shared)
    planes = computed_once(apply_photometric(planes, strengths, eight_bit=recipe.eight_bit))
    if recipe.jpeg == 0.0:
        return planes
    low, high = recipe.jpeg_quality
    quality = jnp.floor(low + draws.jpeg[0] * (high + 1 - low))
    return jnp.where(draws.jpeg[1] < recipe.jpeg, jpeg(planes, quality=quality), planes)


def source_and_target(
    draws: Draws,
    frames: Float[Array | np.ndarray, "t h w 3"],
    *,
    window: Window,
    motion: Motion,
    face_width: Float[Array, ""],
    mask: Float[Array, "t size size"],
    recipe: SelfBlendRecipe,
    borrowed: Borrowed | None = None,
) -> tuple[Float[Array, "3 t size size"], Float[Array, "3 t size size"]]:
    """Return the moved source and the unmoved target in the window; one of them changed in colour and resolution.

    The source is sampled from the stored crop in one step, so that moving it does not blur it a second time. The
    colours of a borrowed face are matched within `mask`.
    """
    on_source = draws.change[0] < recipe.change_source
    shrink = draws.change[1] < recipe.downscale
    # The effect of the released code at its resolution, seen at this one: a smaller face loses or gains less.
    resolution = face_width / recipe.reference_face
    factor = pick(draws.change[2], recipe.downscale_factors) * resolution

    changed, plain = _both_views(
        frames, on_source, jnp.where(shrink, factor, 1.0), window, motion, recipe, borrowed
    )
    if recipe.eight_bit:
        changed, plain = round_to_levels(changed), round_to_levels(plain)
    if borrowed is not None:
        source, target = jnp.where(on_source, changed, plain), jnp.where(on_source, plain, changed)
        matched = match_colours(source, target, mask)
        source = jnp.where(borrowed.use[:, None, None], matched, source)
        changed, plain = jnp.where(on_source, source, target), jnp.where(on_source, target, source)

    strengths = scale_photometric(draws.change_colour, recipe.source)
    changed = computed_once(apply_photometric(changed, strengths, eight_bit=recipe.eight_bit))
    sharp = _sharpened(draws, changed, resolution, recipe)
    changed = jnp.where(shrink, changed, sharp)
    return jnp.where(on_source, changed, plain), jnp.where(on_source, plain, changed)


def _sharpened(
    draws: Draws, planes: Float[Array, "3 t size size"], resolution: Float[Array, ""], recipe: SelfBlendRecipe
) -> Float[Array, "3 t size size"]:
    low, high = recipe.sharpen_alpha
    alpha = low + draws.change[3] * (high - low)
    low, high = recipe.sharpen_lightness
    lightness = low + draws.change[4] * (high - low)
    sharp = sharpen(planes, alpha=alpha, lightness=lightness, resolution=jnp.minimum(resolution, 1.0))
    return round_to_levels(sharp) if recipe.eight_bit else sharp


def _both_views(
    frames: Float[Array | np.ndarray, "t h w 3"],
    on_source: Bool[Array, ""],
    factor: Float[Array, ""],
    window: Window,
    motion: Motion,
    recipe: SelfBlendRecipe,
    borrowed: Borrowed | None,
) -> tuple[Float[Array, "3 t size size"], Float[Array, "3 t size size"]]:
    """Return the view to be changed, with a loss of resolution by `factor`, and the other one."""
    size = recipe.size
    grid = jnp.arange(size, dtype=jnp.float32)
    magnified = _MAGNIFIED * (OTHER_SCALE[1] if borrowed else 1.0)

    def view(moved: Bool[Array, ""], grids: Array, shares: Array, spread: float) -> Array:
        samplings = []
        for axis, to_crop in ((1, to_crop_y), (0, to_crop_x)):
            places = [jnp.where(moved, motion.origin(line, axis), line) for line in grids]
            positions = jnp.stack([to_crop(window, place, size=size) for place in places])
            step = window.side / size / jnp.where(moved, motion.scale[..., axis], 1.0)
            if borrowed is not None:
                positions, step = _on_other(positions, step, axis, moved, borrowed)
            samplings.append(Sampling(positions, shares, step))
        seen = frames
        if borrowed is not None:
            other = (moved & borrowed.use)[:, None, None, None]
            seen = jnp.where(other, borrowed.face.frames, frames)
        return resample_frames(*samplings, seen, spread=spread, magnified=magnified)

    largest = max(1.0, max(recipe.downscale_factors) * size / recipe.reference_face)
    changed = view(on_source, *degraded_grid(size, jnp.clip(factor, 1.0, largest)), largest)
    plain = view(~on_source, grid[None], jnp.ones((1, size)), 0.0)
    return changed, plain


def _on_other(
    positions: Float[Array, "k *t n"],
    step: Float[Array, "*t"],
    axis: int,
    moved: Bool[Array, ""],
    borrowed: Borrowed,
) -> tuple[Float[Array, "k t n"], Float[Array, " t"]]:
    scale = jnp.where(moved, borrowed.alignment.scale[:, axis], 1.0)
    offset = jnp.where(moved, borrowed.alignment.offset[:, axis], 0.0)
    positions = positions if positions.ndim == 3 else positions[:, None]
    return positions * scale[:, None] + offset[:, None], step * scale
