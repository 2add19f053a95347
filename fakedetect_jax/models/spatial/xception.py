"""Xception (Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017).

The layout is the PyTorch one on which FaceForensics++ (Rössler et al., ICCV 2019) built its detector: the two
convolutions of the stem are not padded, pooling is padded by one pixel on every side, and the batch norms have an
epsilon of 1e-5. Keras' own layout differs in these three, so its weights do not give its outputs here.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.layers import ConvNorm
from fakedetect_jax.models.options import MOST_LAYERS, check_dtype
from fakedetect_jax.models.spatial.depthwise import depthwise_conv, depthwise_normal

WIDTHS = (32, 64, 128, 256, 728, 1024, 1536, 2048)
SMALLEST = 7
_NO_PADDING = ((0, 0), (0, 0))


class SeparableNorm(nn.Module):
    """3x3 depthwise convolution, then 1x1 convolution and batch norm.

    Attributes:
        features: output channels.
        dtype: compute dtype.
    """

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w features"]:
        """Return the normed map; training uses and tracks the statistics of the batch."""
        kernel = self.param("depthwise_kernel", depthwise_normal(3), (3, 3, x.shape[-1]))
        x = depthwise_conv(x.astype(self.dtype), kernel.astype(self.dtype))
        return ConvNorm(self.features, dtype=self.dtype, name="pointwise")(x, train=train)


class SeparableBlock(nn.Module):
    """Separable convolutions with ReLU before each, then pooling, added to a projection of the input.

    Attributes:
        widths: output channels of each convolution.
        stride: 2 to halve the map by max pooling behind the convolutions.
        first_relu: whether a ReLU precedes the first convolution.
        dtype: compute dtype.
    """

    widths: Sequence[int]
    stride: int = 1
    first_relu: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h_s w_s d"]:
        """Return the block's map."""
        y = x
        for index, width in enumerate(self.widths):
            y = jax.nn.relu(y) if index or self.first_relu else y
            y = SeparableNorm(width, dtype=self.dtype, name=f"conv{index}")(y, train=train)
        if self.stride != 1:
            y = nn.max_pool(y, (3, 3), (self.stride, self.stride), ((1, 1), (1, 1)))
        if self.stride != 1 or x.shape[-1] != self.widths[-1]:
            shortcut = ConvNorm(self.widths[-1], stride=self.stride, dtype=self.dtype, name="shortcut")
            x = shortcut(x, train=train)
        return x + y


class Xception(nn.Module):
    """Images to pooled features and a map for each stride.

    Attributes:
        widths: channels of the two convolutions of the stem, of the three entry blocks, of the last block and of the
            two separable convolutions behind it.
        middle_blocks: blocks of three separable convolutions between the entry blocks and the last one.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and batch statistics are float32.
    """

    widths: Sequence[int] = WIDTHS
    middle_blocks: int = 8
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if len(self.widths) != len(WIDTHS):
            raise FakedetectError(
                f"Xception widths={self.widths!r} must have {len(WIDTHS)} entries, as {WIDTHS}"
            )
        if not 0 <= self.middle_blocks <= MOST_LAYERS:
            raise FakedetectError(
                f"Xception middle_blocks={self.middle_blocks!r} must be from 0 to {MOST_LAYERS}"
            )
        check_dtype("Xception", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, widths[-1]] in float32 and the maps at strides 4, 8, 16, 32 in the compute dtype.

        The features are the mean of the last map.
        """
        if min(images.shape[1:3]) < SMALLEST:
            raise FakedetectError(
                f"Xception needs images of at least {SMALLEST} px a side, got {images.shape[1:3]}"
            )
        stem0, stem1, *entry, last, exit0, exit1 = self.widths
        first = ConvNorm(stem0, 3, 2, padding=_NO_PADDING, dtype=self.dtype, pixels=True, name="conv1")
        x = first(images, train=train)
        stem = ConvNorm(stem1, 3, padding=_NO_PADDING, dtype=self.dtype, name="conv2")
        x = jax.nn.relu(stem(jax.nn.relu(x), train=train))
        maps, number = [], 1
        for width in entry:
            block = SeparableBlock(
                (width, width), 2, first_relu=number > 1, dtype=self.dtype, name=f"block{number}"
            )
            x, number = block(x, train=train), number + 1
            maps.append(x)
        for _ in range(self.middle_blocks):
            block = SeparableBlock((entry[-1],) * 3, dtype=self.dtype, name=f"block{number}")
            x, number = block(x, train=train), number + 1
        maps[-1] = x
        block = SeparableBlock((entry[-1], last), 2, dtype=self.dtype, name=f"block{number}")
        x = block(x, train=train)
        for name, width in (("conv3", exit0), ("conv4", exit1)):
            x = jax.nn.relu(SeparableNorm(width, dtype=self.dtype, name=name)(x, train=train))
        return x.mean(axis=(1, 2), dtype=jnp.float32), [*maps, x]
