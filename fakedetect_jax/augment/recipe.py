"""The recipe of self-blending: its probabilities and ranges, the published settings, and the draws for one clip."""

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, Key

from fakedetect_jax.augment.hull import HULLS
from fakedetect_jax.augment.photometric import PhotometricRanges
from fakedetect_jax.augment.resampling import KNOTS
from fakedetect_jax.errors import FakedetectError

TEMPORAL = ("shared", "drift", "independent")
"""Values of `SelfBlendRecipe.temporal`."""


@dataclass(frozen=True, kw_only=True)
class SelfBlendRecipe:
    """Every probability and range of self-blending; hashable, so that it is static under jit.

    The defaults follow the paper (Shiohara and Yamasaki, CVPR 2022) and the values of its code. `paper` and
    `reference` give the two published readings, which the defaults go beyond.

    Lengths "in reference pixels" are those of the released code, at whose scale a face is `reference_face` pixels
    wide. They are scaled to the face's width in the output, so that a recipe means the same at every `size`.

    Raises:
        FakedetectError: A probability outside [0, 1], a range that is not ordered or a size below 16.

    Example:
        >>> SelfBlendRecipe(size=112, temporal="drift").jpeg_quality
        (40, 100)
    """

    size: int = 224
    """Side of the output in pixels."""
    reference_face: float = 128.0
    """Width of the face in reference pixels: a loose crop of twice the face spans 256 pixels."""

    # View, the same for the real and the fake image.
    flip: float = 0.5
    """Probability of mirroring the clip."""
    margin: tuple[float, float] = (0.05, 0.20)
    """Range of the margin on each side, as a fraction of the face box."""

    # What tells source and target apart. One of the two is changed.
    change_source: float = 0.5
    """Probability that the source is changed; otherwise the target is, and the real image with it."""
    source_rgb: float = 20.0 / 255.0
    source_rgb_probability: float = 0.3
    source_hue: float = 0.02
    """In turns. The released code's shifts of hue, saturation and value are below one 8-bit level: no change."""
    source_saturation: float = 0.2
    source_value: float = 0.1
    source_hsv_probability: float = 1.0
    source_brightness: float = 0.1
    source_contrast: float = 0.1
    source_brightness_contrast_probability: float = 1.0
    downscale: float = 0.5
    """Probability of a loss of resolution; otherwise the image is sharpened."""
    downscale_factors: tuple[float, ...] = (2.0, 4.0)
    """Factors of that loss in reference pixels, equally likely."""
    sharpen_alpha: tuple[float, float] = (0.2, 0.5)
    sharpen_lightness: tuple[float, float] = (0.5, 1.0)

    # Where the source lies and how far its mask reaches.
    translate: tuple[float, float] = (0.03, 0.015)
    """Largest shift of the source along x and y, as a fraction of the loose crop (2 x 2.4 faces)."""
    scale: tuple[float, float] = (0.95, 1.0 / 0.95)
    """Range of the source's scale, drawn for each axis."""
    temporal: str = "shared"
    """'shared': one draw for the clip. 'drift': the source wanders too. 'independent': a draw for each frame."""
    drift: tuple[float, float] = (0.003, 0.03)
    """Range of the standard deviation of a drifting source's place and size over a clip, in face widths."""
    hulls: tuple[float, ...] = (0.525, 0.175, 0.0, 0.0, 0.0, 0.1, 0.1, 0.1)
    """Probability of each hull, in the order of `fakedetect_jax.augment.hull.HULLS`."""
    elastic_alpha: float = 50.0
    elastic_sigma: float = 7.0
    """Strength and smoothness of the mask's elastic displacement, in reference pixels."""
    mask_canvas: tuple[int, int] = (192, 256)
    """Range of the sides, drawn for each axis, of the canvas that holds the loose crop when the mask is blurred."""
    erode_kernel: tuple[int, int] = (5, 25)
    """Range of the odd kernel of the first blur, which only erodes, in pixels of the canvas; 1 erodes nothing."""
    blur_kernel: tuple[int, int] = (5, 25)
    blur_sigma: tuple[int, int] = (5, 45)
    """Second blur: ranges of the odd kernel and of the integer sigma, in pixels of the canvas."""
    blend_ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    """Opacities of the source, equally likely."""

    # Beyond the published recipe.
    other_face: float = 0.0
    """Probability that the source is the face of another clip, where one is given, laid over this one."""
    segment: float = 0.0
    """Probability that only a run of the clip's frames is forged."""
    segment_share: tuple[float, float] = (0.25, 0.75)
    """Range of that run's share of the clip."""
    eight_bit: bool = False
    """Cut to whole 8-bit levels after every change, as the released code does; saturation and value are then added."""

    # After blending, with the same draw for the real and the fake image.
    shared_rgb: float = 20.0 / 255.0
    shared_rgb_probability: float = 0.3
    shared_hue: float = 0.02
    shared_saturation: float = 0.2
    shared_value: float = 0.1
    shared_hsv_probability: float = 0.3
    shared_brightness: float = 0.3
    shared_contrast: float = 0.3
    shared_brightness_contrast_probability: float = 0.3
    jpeg: float = 0.5
    """Probability of JPEG compression of the output."""
    jpeg_quality: tuple[int, int] = (40, 100)

    def __post_init__(self) -> None:
        """Check what the type system cannot."""
        if self.size < 16:
            raise FakedetectError(f"size is {self.size}; self-blending needs an output of at least 16 pixels")
        for name in (*_PROBABILITIES, *_probability_fields()):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise FakedetectError(f"{name} is {getattr(self, name)}; a probability lies in [0, 1]")
        for name in _RANGES:
            low, high = getattr(self, name)
            if not 0.0 <= low <= high:
                raise FakedetectError(f"{name} is {(low, high)}; give (low, high) with 0 <= low <= high")
        if self.temporal not in TEMPORAL:
            raise FakedetectError(f"temporal is {self.temporal!r}; use one of {TEMPORAL}")
        if min(self.drift) <= 0.0:
            raise FakedetectError(f"drift is {self.drift}; give two positive strengths")
        if len(self.hulls) != len(HULLS) or min(self.hulls) < 0 or abs(sum(self.hulls) - 1.0) > 1e-6:
            raise FakedetectError(
                f"hulls is {self.hulls}; give one probability for each of {tuple(HULLS)}, with sum 1"
            )
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise FakedetectError(f"jpeg_quality is {self.jpeg_quality}; JPEG qualities lie in [1, 100]")

    @property
    def source(self) -> PhotometricRanges:
        """Colour ranges of the change that tells source and target apart."""
        return self._photometric("source")

    @property
    def shared(self) -> PhotometricRanges:
        """Colour ranges of the change that real and fake share."""
        return self._photometric("shared")

    def _photometric(self, prefix: str) -> PhotometricRanges:
        return PhotometricRanges(
            **{name: getattr(self, f"{prefix}_{name}") for name in PhotometricRanges._fields}
        )


_PROBABILITIES = ("flip", "change_source", "downscale", "jpeg", "other_face", "segment")
_RANGES = (
    "margin",
    "sharpen_alpha",
    "sharpen_lightness",
    "scale",
    "drift",
    "segment_share",
    "mask_canvas",
    "erode_kernel",
    "blur_kernel",
    "blur_sigma",
)


def _probability_fields() -> list[str]:
    return [field.name for field in fields(SelfBlendRecipe) if field.name.endswith("_probability")]


# Four families, equally likely; a quarter of the single hulls leave the forehead out.
_FOUR_FAMILIES = (0.1875, 0.0625, 0.25, 0.25, 0.25, 0.0, 0.0, 0.0)
_SINGLE_HULL = (0.75, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
# The released code shifts hue (of 180), saturation and value (of 255) by up to 0.3 of one level.
_HSV_LEVELS = 0.3


def paper(**changes: Any) -> SelfBlendRecipe:
    """Return what Shiohara and Yamasaki (CVPR 2022) describe: all four mask families, and changes that have an effect.

    The paper gives no sizes for the changes of hue, saturation and value; those of `SelfBlendRecipe` stand in.

    Args:
        **changes: Fields to set otherwise.
    """
    return SelfBlendRecipe(**{"hulls": _FOUR_FAMILIES} | changes)


def reference(**changes: Any) -> SelfBlendRecipe:
    """Return what the released code does as installed: 8-bit images, one hull, independent frames.

    Its mask families need the library of another project. Without it, the code takes the convex hull of all points or,
    one time in four, of all but the forehead. Its colour changes go through 8-bit tables that cut to whole levels, and
    its shifts of hue, saturation and value are below one level: nothing, or one level down. Its mask has 8 bits too,
    zeros and ones, and a blur that is rounded to zeros and ones erodes nothing.

    Args:
        **changes: Fields to set otherwise.
    """
    published = {
        "hulls": _SINGLE_HULL,
        "temporal": "independent",
        "eight_bit": True,
        "erode_kernel": (1, 1),
        "source_hue": _HSV_LEVELS / 180.0,
        "source_saturation": _HSV_LEVELS / 255.0,
        "source_value": _HSV_LEVELS / 255.0,
        "shared_hue": _HSV_LEVELS / 180.0,
        "shared_saturation": _HSV_LEVELS / 255.0,
        "shared_value": _HSV_LEVELS / 255.0,
    }
    return SelfBlendRecipe(**published | changes)


class Draws(NamedTuple):
    """The random numbers of one clip, for each stage.

    Numbers are uniform in [0, 1), except that `elastic` and `drift_noise` have mean 0 and variance 1.
    """

    view: Float[Array, "5"]
    change: Float[Array, "5"]
    change_colour: Float[Array, "11"]
    motion: Float[Array, "4"]
    mask: Float[Array, "7"]
    shared_colour: Float[Array, "11"]
    jpeg: Float[Array, "2"]
    elastic: Float[Array, "2 knots knots"]
    drift: Float[Array, "2"]
    drift_noise: Float[Array, "t 4"]
    segment: Float[Array, "3"]
    other: Float[Array, ""]


def draw(key: Key[Array, ""], frames: int) -> Draws:
    """Draw all numbers of one clip of `frames` frames at once: each call of the generator costs seconds to compile.

    They depend on the key alone, not on the recipe.
    """
    elastic = 45 + 2 * KNOTS * KNOTS
    noise = elastic + 2 + 4 * frames
    uniform = jax.random.uniform(key, (noise + 4,))
    return Draws(
        view=uniform[0:5],
        change=uniform[5:10],
        change_colour=uniform[10:21],
        motion=uniform[21:25],
        mask=uniform[25:32],
        shared_colour=uniform[32:43],
        jpeg=uniform[43:45],
        elastic=_standardised(uniform[45:elastic]).reshape(2, KNOTS, KNOTS),
        drift=uniform[elastic : elastic + 2],
        drift_noise=_standardised(uniform[elastic + 2 : noise]).reshape(frames, 4),
        segment=uniform[noise : noise + 3],
        other=uniform[noise + 3],
    )


def _standardised(uniform: Float[Array, " n"]) -> Float[Array, " n"]:
    return math.sqrt(12.0) * (uniform - 0.5)
