"""Local statistics branch: how strong each band of frequencies is at each place of the frame.

Local frequency statistics of F3-Net (Qian, Yin, Sheng, Chen and Shao, "Thinking in Frequency: Face Forgery Detection by
Mining Frequency-aware Clues", ECCV 2020): cosine transforms of windows that slide over the frame, and of each the log
of the sums of amplitudes in bands of frequencies, weighted by learnable masks. The net behind is here `ConvStages`.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.conv_stages import ConvStages
from fakedetect_jax.models.frequency.cosine import dct_matrix
from fakedetect_jax.models.temporal.options import DTYPES, check_known, check_positive

# Added to the sums before the log: below what rounding a normalised picture to 8 bits gives.
_FLOOR = 1e-3


def window_transforms(
    grey: Float[Array, "n h w 1"], window: int, stride: int
) -> Float[Array, "n y x window^2"]:
    """Cosine transform of each window that lies wholly in the picture; row frequencies come first."""
    matrix = dct_matrix(window)
    kernel = np.einsum("ui,vj->ijuv", matrix, matrix).reshape((window, window, 1, window**2))
    # Default precision on TPU and GPU would round the picture to 8-11 bits and drown the faint residuals.
    return lax.conv_general_dilated(
        grey,
        kernel,
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )


def diagonal_bands(window: int, count: int) -> np.ndarray:
    """[window^2, count]: one where a frequency is in the band; its diagonals are dealt out evenly, low ones first."""
    diagonal = np.add.outer(np.arange(window), np.arange(window)).reshape(-1)
    return np.eye(count, dtype=np.float32)[diagonal * count // (2 * window - 1)]


class LocalStatistics(nn.Module):
    """Frames to the log10 of the amplitudes' sum in each band of each window.

    A mask is its band plus a learnable part between -1 and 1. Weight decay pulls a mask towards its band.

    Attributes:
        window: side of the windows in pixels.
        stride: step from one to the next.
        bands: number of bands.
    """

    window: int = 10
    stride: int = 2
    bands: int = 6

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n y x bands"]:
        """Return the statistics in float32; they are those of the mean of the channels."""
        if min(x.shape[1:3]) < self.window:
            raise FakedetectError(
                f"local_statistics window={self.window} needs frames of at least that size, got {x.shape[1:3]}"
            )
        learnt = self.param("mask", nn.initializers.normal(0.1), (self.window**2, self.bands))
        masks = diagonal_bands(self.window, self.bands) + 2 * jax.nn.sigmoid(learnt) - 1
        grey = x.astype(jnp.float32).mean(axis=-1, keepdims=True)
        amplitudes = abs(window_transforms(grey, self.window, self.stride))
        sums = jnp.einsum("nyxf,fb->nyxb", amplitudes, abs(masks), precision="highest")
        return jnp.log10(sums + _FLOOR)


class LocalStatisticsBranch(nn.Module):
    """Local statistics of the frame, then a conv net (`ConvStages`) whose first stage has their resolution.

    Attributes:
        window, stride, bands: of `LocalStatistics`; bands are at most the 2 window - 1 diagonals.
        widths: channels of each stage; stage i has stride 2^i on the grid of the windows.
        depth: residual 3x3 convs of each stage.
        dtype: compute dtype of the conv net, 'float32' or 'bfloat16'. The statistics are always float32.
    """

    window: int = 10
    stride: int = 2
    bands: int = 6
    widths: Sequence[int] = (24, 48, 96)
    depth: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        ConvStages(self.widths, parent=None)  # raises here rather than at init when an option is wrong
        check_positive("local_statistics", window=self.window, stride=self.stride, bands=self.bands)
        if self.bands > 2 * self.window - 1:
            raise FakedetectError(
                f"local_statistics bands={self.bands} must be at most the {2 * self.window - 1} diagonals of a "
                f"window of {self.window} px"
            )
        check_known("local_statistics", "dtype", self.dtype, DTYPES)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n h_s w_s d_s"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        x = LocalStatistics(self.window, self.stride, self.bands, name="statistics")(images)
        return ConvStages(self.widths, self.depth, first_stride=1, dtype=self.dtype, name="stages")(x)
