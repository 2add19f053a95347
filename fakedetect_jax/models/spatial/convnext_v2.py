"""ConvNeXt V2 (Woo et al., "ConvNeXt V2: Co-designing and Scaling ConvNets with Masked Autoencoders", CVPR 2023).

It is ConvNeXt whose blocks have a global response norm after the activation and no layer scale.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.models.layers import DropPath, truncated_normal
from fakedetect_jax.models.options import check_dtype, check_rate
from fakedetect_jax.models.spatial.convnext import (
    EPSILON,
    biased_depthwise,
    chosen_stages,
    gelu,
    run_stages,
)

# name: (blocks per stage, channels per stage)
VARIANTS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
    "femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
    "pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
    "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
    "huge": ((3, 3, 27, 3), (352, 704, 1408, 2816)),
}


class GlobalResponseNorm(nn.Module):
    """Scale each channel by its norm over the image, relative to the mean norm of all channels."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        """Return x plus its scaled form, which is x itself at first, when scale and bias are zero."""
        c = x.shape[-1]
        scale = self.param("scale", nn.initializers.zeros, (c,))
        bias = self.param("bias", nn.initializers.zeros, (c,))
        squares = jnp.square(x.astype(jnp.float32)).sum(axis=(1, 2))
        # The root of zero has no gradient: one image without response would spoil that of the whole batch.
        response = jnp.sqrt(jnp.maximum(squares, 1e-12))
        gain = 1 + scale[None] * response / (response.mean(axis=-1, keepdims=True) + EPSILON)
        return x * gain.astype(self.dtype)[:, None, None] + bias.astype(self.dtype)[None, None, None]


class BlockV2(nn.Module):
    """Depthwise 7x7, norm, and a pointwise MLP with a global response norm, added to the input."""

    drop_path: float = 0.0
    gelu: str = "erf"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return float32 x plus the block's residual, in float32."""
        c = x.shape[-1]
        y = biased_depthwise(self, x.astype(self.dtype))
        y = nn.LayerNorm(epsilon=EPSILON, dtype=self.dtype, name="norm")(y)
        y = nn.Dense(4 * c, dtype=self.dtype, kernel_init=truncated_normal, name="expand")(y)
        y = GlobalResponseNorm(dtype=self.dtype, name="response_norm")(gelu(self.gelu)(y))
        y = nn.Dense(c, dtype=self.dtype, kernel_init=truncated_normal, name="project")(y)
        return x + DropPath(self.drop_path, name="drop_path")(y, train=train)


class ConvNeXtV2(nn.Module):
    """Images to pooled, normed features and the maps of the four stages.

    Attributes:
        variant: a name in `VARIANTS`; leave it None when `depths` and `dims` are given.
        depths, dims: blocks and channels of each stage, instead of a variant.
        drop_path: rate of the last block; rates rise linearly from 0 at the first.
        gelu: 'erf' (as published weights) or 'tanh' (faster).
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters are float32.
    """

    variant: str | None = None
    depths: Sequence[int] | None = None
    dims: Sequence[int] | None = None
    drop_path: float = 0.0
    gelu: str = "erf"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self.stages()
        gelu(self.gelu)
        check_rate("ConvNeXt V2", drop_path=self.drop_path)
        check_dtype("ConvNeXt V2", dtype=self.dtype)
        super().__post_init__()

    def stages(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return blocks and channels of each stage; raise for an unknown variant or a contradiction."""
        return chosen_stages("ConvNeXt V2", VARIANTS, self.variant, self.depths, self.dims)

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return float32 features [n, dims[-1]] and the maps at strides 4, 8, 16, 32 in the compute dtype."""
        depths, dims = self.stages()

        def block(rate: float, name: str) -> nn.Module:
            return BlockV2(rate, self.gelu, self.dtype, name=name)

        return run_stages(images, depths, dims, self.drop_path, block, dtype=self.dtype, train=train)
