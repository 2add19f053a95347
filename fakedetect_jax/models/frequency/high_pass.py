"""High-pass branch: residuals of fixed filters that know a smooth picture by its neighbours, clipped.

Three filters of the spatial rich model (Fridrich and Kodovsky, "Rich Models for Steganalysis of Digital Images", IEEE
TIFS 2012), KB, KV and the horizontal second difference, which Luo, Zhang, Yan and Liu ("Generalizing Face Forgery
Detection with High-frequency Features", CVPR 2021) put before a net. The net is here `ConvStages`.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.conv_stages import ConvStages
from fakedetect_jax.models.temporal.options import DTYPES, check_known

# 8-bit levels to one unit of a picture that was normalised with ImageNet's standard deviations (their mean).
IMAGENET_LEVELS = 255 * (0.229 + 0.224 + 0.225) / 3
CLIP = 3.0

_SECOND_DIFFERENCE = np.array([0, 1, -2, 1, 0])
_KV = np.array(
    [
        [-1, 2, -2, 2, -1],
        [2, -6, 8, -6, 2],
        [-2, 8, -12, 8, -2],
        [2, -6, 8, -6, 2],
        [-1, 2, -2, 2, -1],
    ]
)
# [3, 5, 5]; each is a pixel's neighbours' guess of it, less the pixel.
FILTERS = np.stack(
    [
        -np.outer(_SECOND_DIFFERENCE, _SECOND_DIFFERENCE) / 4,
        _KV / 12,
        np.outer([0, 0, 1, 0, 0], _SECOND_DIFFERENCE) / 2,
    ]
).astype(np.float32)


def residuals(images: Float[Array, "n h w c"], levels: float) -> Float[Array, "n h w 3*c"]:
    """Residuals of each channel under each filter, in 8-bit levels clipped to +-3, filter by filter, in float32.

    Pictures go on beyond their edges as in a mirror, so that an edge leaves no residual of its own.
    """
    c = images.shape[-1]
    padded = jnp.pad(images.astype(jnp.float32), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    # [5, 5, in, filter, out]: no filter mixes channels. A convolution in groups would gather a sharded batch.
    kernel = np.einsum("fij,ab->ijafb", FILTERS, np.eye(c, dtype=np.float32)).reshape((5, 5, c, -1))
    # Default precision on TPU and GPU would round the picture to 8-11 bits and drown the residuals.
    found = lax.conv_general_dilated(
        padded,
        kernel,
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )
    return jnp.clip(levels * found, -CLIP, CLIP)


class HighPassBranch(nn.Module):
    """Clipped residuals of the frame, 9 channels in all, then a conv net (`ConvStages`).

    The filters are blind to what normalisation subtracts. What it divides by, `levels` makes good, in which the
    residuals are clipped: without it pictures in [-1, 1] would never come near the clipping.

    Attributes:
        levels: 8-bit levels to one unit of the normalised pictures. The detector gives those of its normalisation;
            57.6, those of 'imagenet', by default.
        widths: channels of each stage; stage i has stride 2^(i+1).
        depth: residual 3x3 convs of each stage.
        dtype: compute dtype of the conv net, 'float32' or 'bfloat16'. The residuals are always float32.
    """

    levels: float = IMAGENET_LEVELS
    widths: Sequence[int] = (24, 48, 96)
    depth: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        ConvStages(self.widths, parent=None)  # raises here rather than at init when an option is wrong
        if not self.levels > 0:
            raise FakedetectError(f"high_pass levels={self.levels!r} must be positive")
        check_known("high_pass", "dtype", self.dtype, DTYPES)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n h_s w_s d_s"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        return ConvStages(self.widths, self.depth, dtype=self.dtype, name="stages")(
            residuals(images, self.levels)
        )
