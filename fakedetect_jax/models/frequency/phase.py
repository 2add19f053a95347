"""Phase branch: the frame beside what is left of it when all frequencies are equally strong.

After SPSL (Liu, Li, Zhou, Chen, He, Xue, Zhang and Yu, "Spatial-Phase Shallow Learning: Rethinking Face Forgery
Detection in Frequency Domain", CVPR 2021). Up-sampling leaves copies of the spectrum, which show in the phase. The
phase-only picture is a fourth channel of a shallow net, which is `ConvStages` here.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.models.conv_stages import ConvStages, check_stages
from fakedetect_jax.models.frequency.transforms import irfft2, rfft2
from fakedetect_jax.models.options import check_dtype

# A lower amplitude has no phase and goes to zero. Rounding to 8 bits alone gives every frequency of a normalised
# picture an amplitude of about 3e-3.
_FLOOR = 1e-4


def phase_only(images: Float[Array, "n h w c"]) -> Float[Array, "n h w 1"]:
    """Return the mean of the channels with the amplitudes of all frequencies set to one, in float32.

    It is the inverse transform of exp(i phase), times sqrt(h w), so its mean square is one.
    """
    grey = images.astype(jnp.float32).mean(axis=-1, keepdims=True)
    spectrum = rfft2(grey)
    power = jnp.square(spectrum).sum(axis=-1, keepdims=True)
    return irfft2(spectrum * lax.rsqrt(power + _FLOOR**2), width=images.shape[2])


class PhaseBranch(nn.Module):
    """The frame and its phase-only picture, then a conv net (`ConvStages`).

    The phase is taken of the mean of the colours. Brightness and contrast do not change it.

    Attributes:
        widths: channels of each stage; stage i has stride 2^(i+1).
        depth: residual 3x3 convs of each stage.
        dtype: compute dtype of the conv net, 'float32' or 'bfloat16'. The spectrum is always float32.
    """

    widths: Sequence[int] = (24, 48, 96)
    depth: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_stages("phase", self.widths)
        check_dtype("phase", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        x = jnp.concatenate([images, phase_only(images)], axis=-1)
        return ConvStages(self.widths, self.depth, dtype=self.dtype, name="stages")(x)
