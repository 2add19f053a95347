"""Local statistics branch: how strong each band of frequencies is at each place of the frame.

These are the local frequency statistics of F3-Net (Qian, Yin, Sheng, Chen and Shao, "Thinking in Frequency: Face
Forgery Detection by Mining Frequency-aware Clues", ECCV 2020). Windows slide over the frame; the amplitudes of each
window's cosine transform are summed in bands of frequencies, weighted by learnable masks, and the logs of the sums are
the statistics. The net behind them is `ConvStages`.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.conv_stages import ConvStages, check_stages
from fakedetect_jax.models.frequency.transforms import dct_matrix
from fakedetect_jax.models.options import check_dtype, check_positive

# Added to the sums before the log; rounding a normalised picture to 8 bits gives more.
_FLOOR = 1e-3


def window_transforms(
    grey: Float[Array, "n h w 1"], window: int, stride: int
) -> Float[Array, "n y x {window}**2"]:
    """Return the cosine transform of each window inside the picture, row frequencies first."""
    matrix = dct_matrix(window)
    kernel = np.einsum("ui,vj->ijuv", matrix, matrix).reshape((window, window, 1, window**2))
    # The default precision of TPUs and GPUs would round the picture to 8-11 bits and drown faint residuals.
    return lax.conv_general_dilated(
        grey,
        kernel,
        (stride, stride),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )


def diagonal_bands(window: int, count: int) -> Float[np.ndarray, "{window}**2 {count}"]:
    """Return one where a frequency is in the band. Bands share the diagonals evenly, from low to high frequencies."""
    diagonal = np.add.outer(np.arange(window), np.arange(window)).reshape(-1)
    return np.eye(count, dtype=np.float32)[diagonal * count // (2 * window - 1)]


class LocalStatistics(nn.Module):
    """Frames to the log10 of the sum of amplitudes in each band of each window.

    A mask is its band plus a learnable part between -1 and 1, which weight decay pulls to zero.

    Attributes:
        window: side of the windows in pixels.
        stride: step from one window to the next in pixels.
        bands: number of bands.
    """

    window: int = 10
    stride: int = 2
    bands: int = 6

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n y x {self.bands}"]:
        """Return the statistics of the mean of the channels, in float32."""
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
        window, stride, bands: options of `LocalStatistics`; at most 2 window - 1 bands, the number of diagonals.
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
        check_stages("local_statistics", self.widths)
        check_positive("local_statistics", window=self.window, stride=self.stride, bands=self.bands)
        if self.bands > 2 * self.window - 1:
            raise FakedetectError(
                f"local_statistics bands={self.bands} must be at most the {2 * self.window - 1} diagonals of a "
                f"window of {self.window} px"
            )
        check_dtype("local_statistics", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        x = LocalStatistics(self.window, self.stride, self.bands, name="statistics")(images)
        return ConvStages(self.widths, self.depth, first_stride=1, dtype=self.dtype, name="stages")(x)
