"""High-pass branch: clipped residuals of fixed filters that predict a pixel from its neighbours.

The filters are three of the spatial rich model (Fridrich and Kodovsky, "Rich Models for Steganalysis of Digital
Images", IEEE TIFS 2012): KB, KV and the horizontal second difference. Luo, Zhang, Yan and Liu ("Generalizing Face
Forgery Detection with High-frequency Features", CVPR 2021) put them before a net, which is `ConvStages` here.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import IMAGENET, levels_of
from fakedetect_jax.models.conv_stages import ConvStages, check_stages
from fakedetect_jax.models.options import check_dtype

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
# [3, 5, 5]; each is the guess of a pixel from its neighbours, minus the pixel.
FILTERS = np.stack(
    [
        -np.outer(_SECOND_DIFFERENCE, _SECOND_DIFFERENCE) / 4,
        _KV / 12,
        np.outer([0, 0, 1, 0, 0], _SECOND_DIFFERENCE) / 2,
    ]
).astype(np.float32)


def residuals(images: Float[Array, "n h w c"], levels: float) -> Float[Array, "n h w 3*c"]:
    """Return the residuals of each channel under each filter, filter by filter, in 8-bit levels clipped to +-3.

    The picture is mirrored beyond its edges, so that an edge leaves no residual of its own.

    Args:
        images: normalised pictures in any float dtype; the result is float32.
        levels: 8-bit levels to one unit of the pictures.
    """
    c = images.shape[-1]
    padded = jnp.pad(images.astype(jnp.float32), ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    # [5, 5, in, filter, out]: no filter mixes channels. A grouped convolution would gather a sharded batch.
    kernel = np.einsum("fij,ab->ijafb", FILTERS, np.eye(c, dtype=np.float32)).reshape((5, 5, c, -1))
    # The default precision of TPUs and GPUs would round the picture to 8-11 bits and drown the residuals.
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

    The filters are blind to what normalisation subtracts. `levels` undoes what it divides by: without it, residuals of
    pictures in [-1, 1] would never come near the clipping.

    Attributes:
        levels: 8-bit levels to one unit of the normalised pictures. The detector passes those of its normalisation;
            the default, 57.6, is that of 'imagenet'.
        widths: channels of each stage; stage i has stride 2^(i+1).
        depth: residual 3x3 convs of each stage.
        dtype: compute dtype of the conv net, 'float32' or 'bfloat16'. The residuals are always float32.
    """

    levels: float = levels_of(IMAGENET)
    widths: Sequence[int] = (24, 48, 96)
    depth: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_stages("high_pass", self.widths)
        if not self.levels > 0:
            raise FakedetectError(f"high_pass levels={self.levels!r} must be positive")
        check_dtype("high_pass", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        return ConvStages(self.widths, self.depth, dtype=self.dtype, name="stages")(
            residuals(images, self.levels)
        )
