"""Convolution and batch norm: the layer that ResNet, EfficientNet and Xception are made of."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.spatial.depthwise import Padding, depthwise_conv

DTYPES = ("float32", "bfloat16")

# Normal with the variance that keeps that of the gradients through a ReLU (He et al., ICCV 2015).
_he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
_CHANNELS = ("NHWC", "HWIO", "NHWC")
# Channels of a block of groups: the side of the matrix units of TPUs.
_BLOCK = 128


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm. A 1x1 one is a matmul over every `stride`-th pixel.

    Attributes:
        features: output channels.
        kernel: side of the kernel.
        stride: step of the kernel.
        groups: groups of channels that are convolved each by itself.
        padding: zeros (before, after) along height and width; kernel // 2 on every side unless given.
        epsilon: what is added to the variance before the root.
        momentum: part of the running statistics that stays in one step.
        dtype: compute dtype.
        pixels: whether it convolves the picture itself, in float32: bfloat16 would round by up to half a grey level.
    """

    features: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    padding: Padding | None = None
    epsilon: float = 1e-5
    momentum: float = 0.9
    dtype: str = "float32"
    pixels: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], *, train: bool = False
    ) -> Float[Array, "n h_s w_s features"]:
        """Return the normed map; training uses and tracks the batch's statistics."""
        k = self.kernel
        kernel = self.param("kernel", _he_normal, (k, k, x.shape[-1] // self.groups, self.features))
        width = "float32" if self.pixels else self.dtype
        x, kernel = jnp.asarray(x, width), jnp.asarray(kernel, width)
        if k == 1 and self.groups == 1:
            x = jnp.einsum("nhwc,cd->nhwd", subsample(x, self.stride), kernel[0, 0])
        else:
            padding = self.padding or ((k // 2, k // 2), (k // 2, k // 2))
            precision = "high" if self.pixels else None
            x = grouped_conv(x, kernel, self.stride, padding, self.groups, precision).astype(self.dtype)
        return norm(self, train=train)(x)


class DepthwiseNorm(nn.Module):
    """Depthwise convolution without bias, then batch norm. The attributes are those of `ConvNorm`."""

    kernel: int = 3
    stride: int = 1
    padding: Padding | None = None
    epsilon: float = 1e-5
    momentum: float = 0.9
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h_s w_s c"]:
        """Return the normed map; training uses and tracks the batch's statistics."""
        x = depthwise(self, "kernel", x.astype(self.dtype), self.kernel, self.stride, self.padding)
        return norm(self, train=train)(x)


class SeparableNorm(nn.Module):
    """3x3 depthwise convolution, then 1x1 convolution and batch norm. The attributes are those of `ConvNorm`."""

    features: int
    epsilon: float = 1e-5
    momentum: float = 0.9
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w features"]:
        """Return the normed map; training uses and tracks the batch's statistics."""
        x = depthwise(self, "depthwise_kernel", x.astype(self.dtype), 3)
        pointwise = ConvNorm(
            self.features,
            epsilon=self.epsilon,
            momentum=self.momentum,
            dtype=self.dtype,
            name="pointwise",
        )
        return pointwise(x, train=train)


def norm(layer: ConvNorm | DepthwiseNorm, *, train: bool) -> nn.BatchNorm:
    """The batch norm of a layer, by its attributes."""
    return nn.BatchNorm(
        use_running_average=not train,
        epsilon=layer.epsilon,
        momentum=layer.momentum,
        dtype=layer.dtype,
        name="norm",
    )


def depthwise(
    layer: nn.Module, name: str, x: Array, size: int, stride: int = 1, padding: Padding | None = None
) -> Array:
    """Depthwise convolution with the parameter `name` [size, size, channels] of `layer`."""
    init = nn.initializers.normal((2 / size**2) ** 0.5)
    kernel = layer.param(name, init, (size, size, x.shape[-1]))
    return depthwise_conv(x, kernel.astype(x.dtype), stride, padding)


def grouped_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "k k c_g features"],
    stride: int,
    padding: Padding,
    groups: int,
    precision: str | None = None,
) -> Float[Array, "n h_s w_s features"]:
    """Convolve each of `groups` equal parts of the channels by itself.

    XLA's own grouped convolution gathers the whole batch on every device when the batch is sharded. So the
    groups are packed into blocks of channels, each a dense convolution whose kernel is zero between groups.
    """
    inputs, outputs = kernel.shape[2], kernel.shape[3] // groups
    packed = max(p for p in range(1, groups + 1) if groups % p == 0 and (p == 1 or p * inputs <= _BLOCK))
    within = jnp.asarray(np.kron(np.eye(packed), np.ones((inputs, outputs))), x.dtype)
    parts = []
    for block in range(groups // packed):
        part = lax.slice_in_dim(x, block * packed * inputs, (block + 1) * packed * inputs, axis=3)
        weights = kernel[..., block * packed * outputs : (block + 1) * packed * outputs]
        if packed > 1:
            weights = jnp.tile(weights, (1, 1, packed, 1)) * within[None, None]
        parts.append(
            lax.conv_general_dilated(
                part, weights, (stride, stride), padding, dimension_numbers=_CHANNELS, precision=precision
            )
        )
    return jnp.concatenate(parts, axis=3) if len(parts) > 1 else parts[0]


def subsample(x: Float[Array, "n h w c"], stride: int) -> Float[Array, "n h_s w_s c"]:
    """Every `stride`-th row and column, from the first."""
    # Indexing with a step would become a gather when the batch size is symbolic.
    for axis in (1, 2):
        x = lax.slice_in_dim(x, 0, None, stride, axis)
    return x


def check_known(field: str, value: object, known: Sequence[str]) -> None:
    """ValueError that names the field, the value and the known ones, unless the value is among them."""
    if value not in known:
        raise FakedetectError(f"{field}={value!r} is not known; use one of {', '.join(known)}")
