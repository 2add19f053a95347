"""Every probability and range of self-blending, in one frozen value that is static under jit."""

from dataclasses import dataclass, fields

from fakedetect_jax.augment.hull import HULLS
from fakedetect_jax.augment.photometric import PhotometricRanges
from fakedetect_jax.errors import FakedetectError

TEMPORAL = ("shared", "drift", "independent")


@dataclass(frozen=True, kw_only=True)
class SelfBlendRecipe:
    """Self-blended images (Shiohara and Yamasaki, CVPR 2022); defaults after the paper and its code's values.

    Lengths "in reference pixels" are those of the released code, at whose scale a face is `reference_face`
    pixels wide; they are scaled to the face's width in the output, so that the recipe means the same at every
    `size`. Raises FakedetectError for a probability outside [0, 1], a range that is not ordered or a size below
    16.
    """

    size: int = 224
    """Side of the output in pixels."""
    reference_face: float = 128.0
    """Width of the face, in reference pixels: a loose crop of twice the face at 256 pixels."""

    # View, the same for the real and the fake image.
    flip: float = 0.5
    """Probability of a mirrored clip."""
    margin: tuple[float, float] = (0.05, 0.20)
    """Range of the margin on each side, as a fraction of the face box."""

    # What makes source and target differ. One of the two is changed.
    change_source: float = 0.5
    """Probability that the source is changed; otherwise the target is, and the real image with it."""
    source_rgb: float = 20.0 / 255.0
    source_rgb_probability: float = 0.3
    source_hue: float = 0.02
    """In turns. The released code's hue, saturation and value shifts are below one 8-bit level: no change."""
    source_saturation: float = 0.2
    source_value: float = 0.1
    source_hsv_probability: float = 1.0
    source_brightness: float = 0.1
    source_contrast: float = 0.1
    source_brightness_contrast_probability: float = 1.0
    downscale: float = 0.5
    """Probability of a loss of resolution; otherwise the image is sharpened."""
    downscale_factors: tuple[float, ...] = (2.0, 4.0)
    """Loss of resolution in reference pixels, equally likely."""
    sharpen_alpha: tuple[float, float] = (0.2, 0.5)
    sharpen_lightness: tuple[float, float] = (0.5, 1.0)

    # Where the source lies and how far its mask reaches.
    translate: tuple[float, float] = (0.03, 0.015)
    """Largest shift of the source along x and y, as a fraction of the loose crop (2 x 2.4 faces)."""
    scale: tuple[float, float] = (0.95, 1.0 / 0.95)
    """Range of the source's scale, for each axis on its own."""
    temporal: str = "shared"
    """'shared': one draw for the clip; 'drift': and the source wanders; 'independent': a draw for each frame."""
    drift: tuple[float, float] = (0.003, 0.03)
    """Range of the standard deviation of a wandering source's place and size over a clip, in face widths."""
    hulls: tuple[float, ...] = (0.525, 0.175, 0.0, 0.0, 0.0, 0.1, 0.1, 0.1)
    """Probability of each hull, in the order of `fakedetect_jax.augment.hull.HULLS`."""
    elastic_alpha: float = 50.0
    elastic_sigma: float = 7.0
    """Strength and smoothness of the mask's elastic displacement, in reference pixels."""
    mask_canvas: tuple[int, int] = (192, 256)
    """Sides, drawn for each axis, of the canvas that holds the loose crop when the mask is blurred."""
    erode_kernel: tuple[int, int] = (5, 25)
    """Range of the odd kernel of the first blur, which only erodes, in pixels of the mask canvas; 1 erodes nothing."""
    blur_kernel: tuple[int, int] = (5, 25)
    blur_sigma: tuple[int, int] = (5, 45)
    """Second blur: range of the odd kernel and of the integer sigma, in pixels of the mask canvas."""
    blend_ratios: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)
    """Opacity of the source, equally likely."""

    # Beyond the published recipe.
    other_face: float = 0.0
    """Probability that the source is another clip's face, laid over this one, where one is given."""
    segment: float = 0.0
    """Probability that only a run of the clip's frames is forged."""
    segment_share: tuple[float, float] = (0.25, 0.75)
    """Range of that run's share of the clip."""
    eight_bit: bool = False
    """Cut to whole 8-bit levels after every change, as the released code; saturation and value are then added."""

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
            raise FakedetectError(f"temporal is {self.temporal!r}; there are {TEMPORAL}")
        if min(self.drift) <= 0.0:
            raise FakedetectError(f"drift is {self.drift}; strengths of a drift are positive")
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
