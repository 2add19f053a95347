"""Source and target of a blend: two views of a clip, of which one was moved and one was changed."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.augment.crop import Window, to_crop_x, to_crop_y
from fakedetect_jax.augment.draws import Draws
from fakedetect_jax.augment.mask import Motion, pick
from fakedetect_jax.augment.other_face import Alignment, OtherFace, align, match_colours
from fakedetect_jax.augment.photometric import apply_photometric, round_to_levels, scale_photometric, sharpen
from fakedetect_jax.augment.recipe import SelfBlendRecipe
from fakedetect_jax.augment.resample import Sampling, computed_once, degraded_grid, resample_frames

# Another clip's face is stored as large as this one's, but for how each fills its crop.
_OTHER_SCALE = (0.5, 2.0)
# How much a moved source may be magnified against its target, drift included.
_MAGNIFIED = 1.1


class Borrowed(NamedTuple):
    """Another clip's face, how it lies on this one, and in which frames it is used."""

    face: OtherFace
    alignment: Alignment
    use: Bool[Array, " t"]


def borrow(
    draws: Draws,
    landmarks: Float[Array, "t 81 2"],
    usable: Bool[Array, " t"],
    other: OtherFace,
    recipe: SelfBlendRecipe,
) -> Borrowed:
    """The other clip's face, laid over finite `landmarks` where both faces are usable and the draw wants it."""
    use = usable & other.usable & (draws.other < recipe.other_face)
    others = jnp.where(use[:, None, None], other.landmarks, 0.0)
    alignment = align(landmarks, others, use)
    return Borrowed(other, Alignment(jnp.clip(alignment.scale, *_OTHER_SCALE), alignment.offset), use)


def source_and_target(
    draws: Draws,
    frames: Float[Array, "t h w 3"],
    *,
    window: Window,
    motion: Motion,
    face_width: Float[Array, ""],
    mask: Float[Array, "t size size"],
    recipe: SelfBlendRecipe,
    borrowed: Borrowed | None = None,
) -> tuple[Float[Array, "3 t size size"], Float[Array, "3 t size size"]]:
    """The moved source and the unmoved target in the window; one of them is changed in colour and resolution.

    The source is sampled from the stored crop in one step, so that moving it does not blur it a second time.
    `mask` says where the colours of a borrowed face are matched.
    """
    on_source = draws.change[0] < recipe.change_source
    shrink = draws.change[1] < recipe.downscale
    # What the reference does at its resolution, seen at this one: a smaller face loses or gains less.
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
    frames: Float[Array, "t h w 3"],
    on_source: Bool[Array, ""],
    factor: Float[Array, ""],
    window: Window,
    motion: Motion,
    recipe: SelfBlendRecipe,
    borrowed: Borrowed | None,
) -> tuple[Float[Array, "3 t size size"], Float[Array, "3 t size size"]]:
    """The view that will be changed, with its resolution lost by `factor`, and the other one."""
    size = recipe.size
    grid = jnp.arange(size, dtype=jnp.float32)
    magnified = _MAGNIFIED * (_OTHER_SCALE[1] if borrowed else 1.0)

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
