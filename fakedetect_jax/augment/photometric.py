"""Changes of colour and sharpness on planes [3, ...]: RGB, HSV, brightness and contrast, sharpening.

Strengths of zero leave the image unchanged. Whether a change applies is a number and not a branch: under vmap a branch
computes both sides anyway.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.resampling import Scalar

# Offset of each channel's hue from red's, in sextants.
_CHANNEL_SEXTANT = np.array([0.0, 4.0, 2.0], np.float32)


class Photometric(NamedTuple):
    """Strengths of one change, in the units of `PhotometricRanges`; all zero is the identity.

    Attributes:
        hsv: 1 where hue, saturation and value change, else 0: in 8 bits the conversion there and back costs something.
    """

    rgb: Float[Array, "3"]
    hue: Scalar
    saturation: Scalar
    value: Scalar
    brightness: Scalar
    contrast: Scalar
    hsv: Scalar = 1.0


class PhotometricRanges(NamedTuple):
    """Ranges of `Photometric`: each strength is uniform in [-range, range], each group has its own probability.

    Attributes:
        rgb: Added to each channel, where the full scale is 1.
        hue: Added, in turns.
        saturation: Relative change.
        value: Relative change.
        brightness: Added, where the full scale is 1.
        contrast: Relative gain.
    """

    rgb: float
    rgb_probability: float
    hue: float
    saturation: float
    value: float
    hsv_probability: float
    brightness: float
    contrast: float
    brightness_contrast_probability: float


def scale_photometric(draws: Float[Array, "11"], ranges: PhotometricRanges) -> Photometric:
    """Return strengths for uniform draws in [0, 1); what must look alike shares them."""
    strength = 2.0 * draws[:8] - 1.0
    use_rgb = draws[8] < ranges.rgb_probability
    use_hsv = draws[9] < ranges.hsv_probability
    use_light = draws[10] < ranges.brightness_contrast_probability
    return Photometric(
        rgb=strength[:3] * ranges.rgb * use_rgb,
        hue=strength[3] * ranges.hue * use_hsv,
        saturation=strength[4] * ranges.saturation * use_hsv,
        value=strength[5] * ranges.value * use_hsv,
        brightness=strength[6] * ranges.brightness * use_light,
        contrast=strength[7] * ranges.contrast * use_light,
        hsv=use_hsv.astype(jnp.float32),
    )


def apply_photometric(
    planes: Float[Array, "3 *rest"], strengths: Photometric, *, eight_bit: bool = False
) -> Float[Array, "3 *rest"]:
    """Change RGB, then HSV, then brightness and contrast, each clipped to [0, 1].

    Args:
        planes: RGB in [0, 1].
        strengths: See `PhotometricRanges`.
        eight_bit: Whether the planes are whole levels of 255, to which each change cuts as 8-bit tables do.
    """
    cut = cut_to_levels if eight_bit else lambda planes: planes
    shift = strengths.rgb.reshape((3,) + (1,) * (planes.ndim - 1))
    planes = cut(jnp.clip(planes + shift, 0.0, 1.0))
    shifts = {"hue": strengths.hue, "saturation": strengths.saturation, "value": strengths.value}
    if eight_bit:
        planes = jnp.where(strengths.hsv > 0.0, shift_hsv_levels(planes, **shifts), planes)
    else:
        planes = shift_hsv(planes, **shifts)
    return cut(jnp.clip(planes * (1.0 + strengths.contrast) + strengths.brightness, 0.0, 1.0))


def shift_hsv(
    planes: Float[Array, "3 *rest"], *, hue: Scalar, saturation: Scalar, value: Scalar
) -> Float[Array, "3 *rest"]:
    """Add `hue` (turns) and scale saturation and value by 1 plus their argument, in exact HSV.

    Scaling keeps a grey pixel grey, which the usual addition does not.
    """
    old_hue, old_saturation, old_value = rgb_to_hsv(planes)
    return hsv_to_rgb(
        old_hue + hue,
        jnp.clip(old_saturation * (1.0 + saturation), 0.0, 1.0),
        jnp.clip(old_value * (1.0 + value), 0.0, 1.0),
    )


def cut_to_levels(values: Float[Array, "*rest"], levels: float = 255.0) -> Float[Array, "*rest"]:
    """Round down to whole levels; a value within rounding error of a level stays there."""
    return jnp.floor(values * levels + 1e-3) / levels


def round_to_levels(values: Float[Array, "*rest"]) -> Float[Array, "*rest"]:
    """Round to the nearest of 256 levels in [0, 1]."""
    return jnp.round(values * 255.0) / 255.0


def shift_hsv_levels(
    planes: Float[Array, "3 *rest"], *, hue: Scalar, saturation: Scalar, value: Scalar
) -> Float[Array, "3 *rest"]:
    """Add shifts (full scale 1) to hue in 180 levels and to saturation and value in 255, and round down."""
    old_hue, old_saturation, old_value = rgb_to_hsv(planes)
    whole = jnp.round(old_hue * 180.0) / 180.0
    new_hue = cut_to_levels(whole + hue - jnp.floor(whole + hue), 180.0)
    new_saturation = cut_to_levels(jnp.clip(round_to_levels(old_saturation) + saturation, 0.0, 1.0))
    new_value = cut_to_levels(jnp.clip(old_value + value, 0.0, 1.0))
    return round_to_levels(hsv_to_rgb(new_hue, new_saturation, new_value))


def rgb_to_hsv(
    planes: Float[Array, "3 *rest"],
) -> tuple[Float[Array, "*rest"], Float[Array, "*rest"], Float[Array, "*rest"]]:
    """Return hue in turns [0, 1) (0 for grey), saturation and value in [0, 1]."""
    red, green, blue = planes[0], planes[1], planes[2]
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    divisor = jnp.where(chroma > 0.0, chroma, 1.0)
    sextant = jnp.where(
        value == red,
        (green - blue) / divisor,
        jnp.where(value == green, 2.0 + (blue - red) / divisor, 4.0 + (red - green) / divisor),
    )
    hue = sextant / 6.0
    hue = jnp.where(chroma > 0.0, hue - jnp.floor(hue), 0.0)
    return hue, chroma / jnp.where(value > 0.0, value, 1.0), value


def hsv_to_rgb(
    hue: Float[Array, "*rest"],
    saturation: Float[Array, "*rest"],
    value: Float[Array, "*rest"],
) -> Float[Array, "3 *rest"]:
    """Return RGB planes for hue in turns (periodic), saturation and value in [0, 1]."""
    # One array from the start: stacked channels would each recompute all that leads to them.
    sextant = hue[None] * 6.0 + _CHANNEL_SEXTANT.reshape((3,) + (1,) * hue.ndim)
    turn = sextant - 6.0 * jnp.floor(sextant / 6.0)
    share = jnp.clip(jnp.abs(turn - 3.0) - 1.0, 0.0, 1.0)
    return value[None] - (saturation * value)[None] * (1.0 - share)


def sharpen(
    planes: Float[Array, "*lead h w"], *, alpha: Scalar, lightness: Scalar, resolution: Scalar = 1.0
) -> Float[Array, "*lead h w"]:
    """Filter with the 3x3 kernel (1 - alpha) * identity + alpha * (8 + lightness, surrounded by -1); clip to [0, 1].

    `resolution` in (0, 1] is the scale of the planes relative to the image that the kernel is meant for. The second
    derivative, and with it the boost of what the smaller image can show, shrinks with its square.
    """
    margin = [(0, 0)] * (planes.ndim - 2) + [(1, 1), (1, 1)]
    padded = jnp.pad(planes, margin, mode="reflect")
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    around = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    detail = 9.0 * planes - around
    sharp = (1.0 - alpha + alpha * lightness) * planes + alpha * jnp.square(resolution) * detail
    return jnp.clip(sharp, 0.0, 1.0)
