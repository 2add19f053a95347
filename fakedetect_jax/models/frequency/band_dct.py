"""Band branch: the frame in three bands of its cosine transform, and in all of it, under learnable masks.

This is the frequency-aware decomposition of F3-Net (Qian, Yin, Sheng, Chen and Shao, "Thinking in Frequency: Face
Forgery Detection by Mining Frequency-aware Clues", ECCV 2020). The bands hold the lowest sixteenth of all frequencies,
the next sixteenth and the rest. Each frequency belongs to exactly one band; in known implementations neighbours share a
diagonal, or the mean belongs to none. The net behind the bands is `ConvStages`.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.models.conv_stages import ConvStages, check_stages
from fakedetect_jax.models.frequency.transforms import dct_matrix
from fakedetect_jax.models.options import check_dtype

# Upper ends of the first two bands: row / rows + column / columns of the transform.
BORDERS = (1 / 2.82, 1 / 2)
BANDS = 4


def bands(height: int, width: int) -> Float[np.ndarray, "4 {height} {width}"]:
    """Return one where a frequency is in the low, middle or high band; the fourth band holds all."""
    # Whole numbers, so that a frequency on the border is on it exactly.
    place = np.arange(height)[:, None] * width + np.arange(width)[None] * height
    low, middle = (place <= border * height * width for border in BORDERS)
    return np.stack([low, middle & ~low, ~middle, np.ones_like(low)]).astype(np.float32)


class BandSplit(nn.Module):
    """Frames to their four band-passed versions.

    A mask is its band plus a learnable part between -1 and 1, which weight decay pulls to zero. The size of the frames
    given to `init` fixes the size of the masks.
    """

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w 4*c"]:
        """Return the filtered frames in float32, band by band."""
        n, h, w, c = x.shape
        learnt = self.param("mask", nn.initializers.normal(0.1), (BANDS, h, w))
        masks = bands(h, w) + 2 * jax.nn.sigmoid(learnt) - 1
        rows, columns = dct_matrix(h), dct_matrix(w)
        spectrum = jnp.einsum("fh,nhwc->nfwc", rows, x.astype(jnp.float32), precision="highest")
        spectrum = jnp.einsum("gw,nfwc->nfgc", columns, spectrum, precision="highest")
        passed = spectrum[:, :, :, None] * jnp.moveaxis(masks, 0, -1)[None, ..., None]
        passed = jnp.einsum("fh,nfgbc->nhgbc", rows, passed, precision="highest")
        pictures = jnp.einsum("gw,nhgbc->nhwbc", columns, passed, precision="highest")
        return pictures.reshape((n, h, w, BANDS * c))


class BandDCTBranch(nn.Module):
    """The frame in bands, 12 channels in all, then a conv net (`ConvStages`).

    Attributes:
        widths: channels of each stage; stage i has stride 2^(i+1).
        depth: residual 3x3 convs of each stage.
        dtype: compute dtype of the conv net, 'float32' or 'bfloat16'. The transform is always float32.
    """

    widths: Sequence[int] = (24, 48, 96)
    depth: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_stages("dct_bands", self.widths)
        check_dtype("dct_bands", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        x = BandSplit(name="bands")(images)
        return ConvStages(self.widths, self.depth, dtype=self.dtype, name="stages")(x)
