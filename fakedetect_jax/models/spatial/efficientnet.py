"""EfficientNet (Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019).

EfficientNet-Lite0, the form for phones (TensorFlow, 2020), has no squeeze-excite, ReLU6 instead of swish, and does not
scale the two ends of the net. Convolutions are padded like TensorFlow's 'same', which the published weights rely on:
where a stride of 2 meets an even size, the single zero is at the bottom and right.
"""

import math
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.layers import ConvNorm, DropPath, Padding
from fakedetect_jax.models.options import check_dtype, check_known, check_positive, check_rate
from fakedetect_jax.models.spatial.depthwise import depthwise_conv, depthwise_normal

# name: (factor of the channels, factor of the blocks, whether it is the Lite form)
VARIANTS: dict[str, tuple[float, float, bool]] = {
    "b0": (1.0, 1.0, False),
    "b1": (1.0, 1.1, False),
    "b2": (1.1, 1.2, False),
    "b3": (1.2, 1.4, False),
    "b4": (1.4, 1.8, False),
    "b5": (1.6, 2.2, False),
    "b6": (1.8, 2.6, False),
    "b7": (2.0, 3.1, False),
    "lite0": (1.0, 1.0, True),
}
# Blocks, kernel, stride, expansion and output channels of each stage, before scaling.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280
SQUEEZE = 4
NORM = {"epsilon": 1e-3, "momentum": 0.99}


class DepthwiseNorm(nn.Module):
    """Depthwise convolution without bias, then batch norm; attributes as in `ConvNorm`."""

    kernel: int = 3
    stride: int = 1
    padding: Padding | None = None
    epsilon: float = 1e-5
    momentum: float = 0.9
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h_s w_s c"]:
        """Return the normed map; training uses and tracks the statistics of the batch."""
        kernel = self.param("kernel", depthwise_normal(self.kernel), (self.kernel, self.kernel, x.shape[-1]))
        x = depthwise_conv(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.padding)
        return nn.BatchNorm(
            use_running_average=not train,
            epsilon=self.epsilon,
            momentum=self.momentum,
            dtype=self.dtype,
            name="norm",
        )(x)


class InvertedBottleneck(nn.Module):
    """MBConv: widen, depthwise convolution, squeeze-excite, narrow; added to the input where shapes allow.

    Attributes:
        features: output channels.
        kernel, stride, padding: options of the depthwise convolution.
        expansion: width of the depthwise convolution over that of the input.
        lite: whether to use ReLU6 instead of swish and leave out squeeze-excite.
        drop_path: rate at which the residual is dropped.
        dtype: compute dtype.
    """

    features: int
    kernel: int
    stride: int
    padding: Padding
    expansion: int = 6
    lite: bool = False
    drop_path: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], *, train: bool = False
    ) -> Float[Array, "n h_s w_s features"]:
        """Return the block's map."""
        c, y = x.shape[-1], x
        act = activation(self.lite)
        if self.expansion != 1:
            expand = ConvNorm(c * self.expansion, dtype=self.dtype, name="expand", **NORM)
            y = act(expand(y, train=train))
        depthwise = DepthwiseNorm(
            self.kernel, self.stride, self.padding, dtype=self.dtype, name="depthwise", **NORM
        )
        y = act(depthwise(y, train=train))
        if not self.lite:
            gate = y.mean(axis=(1, 2), dtype=jnp.float32)
            gate = act(nn.Dense(max(1, c // SQUEEZE), dtype=self.dtype, name="squeeze")(gate))
            gate = jax.nn.sigmoid(nn.Dense(y.shape[-1], dtype=self.dtype, name="excite")(gate))
            y = y * gate[:, None, None]
        y = ConvNorm(self.features, dtype=self.dtype, name="project", **NORM)(y, train=train)
        if self.stride != 1 or c != self.features:
            return y
        return x + DropPath(self.drop_path, name="drop_path")(y, train=train)


class EfficientNet(nn.Module):
    """Images to pooled features and a map for each stride.

    Attributes:
        variant: a name in `VARIANTS`; leave it None when `width` and `depth` are given.
        width, depth: factors of B0's channels and blocks, instead of a variant.
        lite: whether to build the Lite form (only with `width` and `depth`).
        drop_path: stochastic depth (0.2 in the paper); block i of n drops its residual at the rate drop_path * i / n.
        padding_size: side of the images that the padding is computed for; None for the images at hand, as in
            TensorFlow. Weights of the package efficientnet-pytorch need the variant's own size (B4: 380), weights
            of transformers the size in their config.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and batch statistics are float32.
    """

    variant: str | None = None
    width: float | None = None
    depth: float | None = None
    lite: bool = False
    drop_path: float = 0.0
    padding_size: int | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self.scaling()
        check_rate("EfficientNet", drop_path=self.drop_path)
        if self.padding_size is not None:
            check_positive("EfficientNet", padding_size=self.padding_size)
        check_dtype("EfficientNet", dtype=self.dtype)
        super().__post_init__()

    def scaling(self) -> tuple[float, float, bool]:
        """Return width, depth and whether it is Lite; raise for an unknown variant or a contradiction."""
        if self.variant is not None:
            if self.width is not None or self.depth is not None or self.lite:
                raise FakedetectError(f"give variant={self.variant!r} or width, depth and lite, not both")
            check_known("EfficientNet", VARIANTS, variant=self.variant)
            return VARIANTS[self.variant]
        if not self.width or not self.depth or min(self.width, self.depth) < 0:
            raise FakedetectError(
                f"width={self.width!r} and depth={self.depth!r} must be positive, "
                f"or give a variant: {', '.join(VARIANTS)}"
            )
        return self.width, self.depth, self.lite

    @nn.compact
    def __call__(
        self,
        images: Float[Array, "n h w c"],
        *,
        train: bool = False,
        behind: Mapping[int, Callable[[Array], Array]] | None = None,
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, d] in float32 and the maps at strides 2, 4, 8, 16, 32 in the compute dtype.

        The last map is the output of the head (1x1 convolution, norm, activation), and the features are its mean: 1280
        channels for B0, 1792 for B4.

        Args:
            images: normalised images.
            train: whether to use and track the statistics of the batch and to drop residuals.
            behind: functions by the number of a stage in `STAGES`, which are applied to the map of that stage and must
                keep its shape. A model that builds on this one puts its own layers there.
        """
        width, depth, lite = self.scaling()
        act = activation(lite)
        stem, head = (STEM, HEAD) if lite else (scaled_channels(c, width) for c in (STEM, HEAD))
        repeats = [
            n if lite and index in (0, len(STAGES) - 1) else math.ceil(depth * n)
            for index, (n, *_) in enumerate(STAGES)
        ]
        total = sum(repeats)
        # The padding is computed for these sizes, which shrink with the maps.
        sizes = images.shape[1:3] if self.padding_size is None else (self.padding_size,) * 2
        padding = same_padding(sizes, 3, 2)
        conv = ConvNorm(stem, 3, 2, padding=padding, dtype=self.dtype, pixels=True, name="stem", **NORM)
        x, sizes = act(conv(images, train=train)), _halved(sizes)
        maps, number = [], 0
        for stage, (_, kernel, first_stride, expansion, channels) in enumerate(STAGES):
            if first_stride != 1:
                maps.append(x)
            for index in range(repeats[stage]):
                stride = 1 if index else first_stride
                block = InvertedBottleneck(
                    scaled_channels(channels, width),
                    kernel,
                    stride,
                    same_padding(sizes, kernel, stride),
                    expansion=expansion,
                    lite=lite,
                    drop_path=self.drop_path * number / total,
                    dtype=self.dtype,
                    name=f"stage{stage}_block{index}",
                )
                x, number = block(x, train=train), number + 1
                sizes = _halved(sizes) if stride == 2 else sizes
            if behind and stage in behind:
                x = behind[stage](x)
        x = act(ConvNorm(head, dtype=self.dtype, name="head", **NORM)(x, train=train))
        return x.mean(axis=(1, 2), dtype=jnp.float32), [*maps, x]


def activation(lite: bool) -> Callable[[Array], Array]:
    """Return swish, or ReLU6 for the Lite form."""
    return jax.nn.relu6 if lite else jax.nn.silu


def scaled_channels(channels: int, width: float) -> int:
    """Return channels times width, rounded to a multiple of 8 but never down by more than a tenth."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def same_padding(sizes: tuple[int, ...], kernel: int, stride: int) -> Padding:
    """Return TensorFlow's 'same' padding: the output is size / stride rounded up, an odd zero goes to the end."""
    rows, columns = (max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in sizes)
    return (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)


def _halved(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(-(-size // 2) for size in sizes)
