"""Layers that several models share: convolution with batch norm, pooling, stochastic depth, initialisers."""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

# Zeros (before, after) along each axis of space, or of time and space.
Padding = tuple[tuple[int, int], ...]

truncated_normal = nn.initializers.truncated_normal(0.02)
normal = nn.initializers.normal(0.02)
head_normal = nn.initializers.normal(0.01)
# Keeps the variance of the gradients through a ReLU (He et al., ICCV 2015).
he_fan_out = nn.initializers.variance_scaling(2.0, "fan_out", "normal")

# Channels of a block of groups: the side of the matrix units of TPUs.
_BLOCK = 128


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm, over two axes (space) or three (time and space).

    A kernel of one tap is a matmul over every `stride`-th position.

    Attributes:
        features: output channels.
        kernel, stride: taps and step, one number for all axes or one for each.
        groups: groups of channels that are convolved separately; images only.
        padding: zeros (before, after) along each axis, or 'SAME' as in TensorFlow, with an odd zero at the end;
            None for kernel // 2 on both sides.
        epsilon: added to the variance before the root.
        momentum: share of the running statistics that one step keeps; one minus PyTorch's.
        zero_scale: start the scale of the norm at zero, so that a residual branch starts as nothing.
        dtype: compute dtype. Parameters and statistics are float32.
        pixels: convolve in float32, because bfloat16 would round pixels by up to half a grey level.
    """

    features: int
    kernel: int | Sequence[int] = 1
    stride: int | Sequence[int] = 1
    groups: int = 1
    padding: str | Padding | None = None
    epsilon: float = 1e-5
    momentum: float = 0.9
    zero_scale: bool = False
    dtype: str = "float32"
    pixels: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "n *space c"], *, train: bool = False
    ) -> Float[Array, "n *space_s features"]:
        """Return the normed map; training uses and tracks the statistics of the batch."""
        taps, strides = (_per_axis(value, x.ndim - 2) for value in (self.kernel, self.stride))
        kernel = self.param("kernel", he_fan_out, (*taps, x.shape[-1] // self.groups, self.features))
        width, precision = ("float32", "high") if self.pixels else (self.dtype, None)
        x, kernel = jnp.asarray(x, width), jnp.asarray(kernel, width)
        if max(taps) == 1 and self.groups == 1:
            x = jnp.einsum("...c,cd->...d", subsample(x, strides), kernel.reshape(kernel.shape[-2:]))
        else:
            padding = tuple((k // 2, k // 2) for k in taps) if self.padding is None else self.padding
            x = grouped_conv(x, kernel, strides, padding, self.groups, precision).astype(self.dtype)
        return nn.BatchNorm(
            use_running_average=not train,
            epsilon=self.epsilon,
            momentum=self.momentum,
            scale_init=nn.initializers.zeros if self.zero_scale else nn.initializers.ones,
            dtype=self.dtype,
            name="norm",
        )(x)


def grouped_conv(
    x: Float[Array, "n *space c"],
    kernel: Float[Array, "*taps c_g features"],
    strides: Sequence[int],
    padding: str | Padding,
    groups: int = 1,
    precision: str | None = None,
) -> Float[Array, "n *space_s features"]:
    """Convolve each of `groups` equal parts of the channels separately.

    XLA's own grouped convolution gathers the whole batch on every device when the batch is sharded. Here the groups
    are packed into blocks of channels, and each block is a dense convolution whose kernel is zero between groups.
    """
    axes = "THW"[-(x.ndim - 2) :]
    convolve = functools.partial(
        lax.conv_general_dilated,
        window_strides=tuple(strides),
        padding=padding,
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        precision=precision,
    )
    if groups == 1:
        return convolve(x, kernel)
    inputs, outputs = kernel.shape[-2], kernel.shape[-1] // groups
    packed = max(p for p in range(1, groups + 1) if groups % p == 0 and (p == 1 or p * inputs <= _BLOCK))
    within = jnp.asarray(np.kron(np.eye(packed), np.ones((inputs, outputs))), x.dtype)
    parts = []
    for block in range(groups // packed):
        part = lax.slice_in_dim(x, block * packed * inputs, (block + 1) * packed * inputs, axis=x.ndim - 1)
        weights = kernel[..., block * packed * outputs : (block + 1) * packed * outputs]
        if packed > 1:
            weights = jnp.tile(weights, (*(1,) * (x.ndim - 2), packed, 1)) * within[None, None]
        parts.append(convolve(part, weights))
    return jnp.concatenate(parts, axis=x.ndim - 1) if len(parts) > 1 else parts[0]


def subsample(x: Float[Array, "n *space c"], strides: Sequence[int]) -> Float[Array, "n *space_s c"]:
    """Return every `strides[i]`-th position along axis i of space, from the first."""
    # Indexing with a step would become a gather when the batch size is symbolic.
    for axis, stride in enumerate(strides, start=1):
        x = lax.slice_in_dim(x, 0, None, stride, axis)
    return x


def _per_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def max_pool(
    x: Float[Array, "n *space c"],
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str | Sequence[int] | None = None,
) -> Float[Array, "n *space_o c"]:
    """Return the maximum over windows along the axes between the first and the last.

    It is a chain of elementwise maxima of strided slices. XLA's own gradient of a window's maximum is a scatter, which
    on CPUs is many times slower (up to seven, measured). Where values are equal this shares the gradient among them;
    zeros behind a ReLU have none to share.

    Args:
        x: maps of any number of spatial axes.
        window: size of the windows along each of them.
        strides: steps of the windows; None for their size.
        padding: 'SAME' as in TensorFlow, or the amount on both sides of each axis; None for none. It is never the
            maximum.
    """
    strides = window if strides is None else strides
    if isinstance(padding, str):
        amounts = lax.padtype_to_pads(x.shape[1:-1], tuple(window), tuple(strides), padding)
    else:
        amounts = [(p, p) for p in padding or [0] * len(window)]
    if any(sum(amount) for amount in amounts):
        x = jnp.pad(x, [(0, 0), *amounts, (0, 0)], constant_values=-jnp.inf)
    for axis, (width, stride) in enumerate(zip(window, strides, strict=True), start=1):
        if width > 1 or stride > 1:
            span = (x.shape[axis] - width) // stride * stride + 1
            shifted = (lax.slice_in_dim(x, start, start + span, stride, axis=axis) for start in range(width))
            x = functools.reduce(jnp.maximum, shifted)
    return x


def spatial_mean(x: Float[Array, "b t h w c"]) -> Float[Array, "b t c"]:
    """Return the mean over height and width, summed in float32."""
    return x.mean(axis=(2, 3), dtype=jnp.float32)


def masked_mean(values: Float[Array, "b t *rest"], valid: Bool[Array, "b t"]) -> Float[Array, "b *rest"]:
    """Return the mean over the valid frames; zero for a clip without any."""
    mask = valid.reshape(valid.shape + (1,) * (values.ndim - 2))
    count = jnp.maximum(mask.sum(axis=1), 1)
    return jnp.where(mask, values, 0).sum(axis=1) / count


def masked_max(values: Float[Array, "b t *rest"], valid: Bool[Array, "b t"]) -> Float[Array, "b *rest"]:
    """Return the maximum over the valid frames; zero for a clip without any."""
    mask = valid.reshape(valid.shape + (1,) * (values.ndim - 2))
    largest = jnp.where(mask, values, -jnp.inf).max(axis=1)
    return jnp.where(mask.any(axis=1), largest, 0)


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., ECCV 2016): drop the residual of an example, scale up the kept ones.

    Attributes:
        rate: probability of dropping.
    """

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "n *rest"], *, train: bool) -> Float[Array, "n *rest"]:
        """Draw from the rng stream 'dropout'; flax folds the module's path in, so each block has its own key."""
        if not train or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = jax.random.bernoulli(self.make_rng("dropout"), keep, (x.shape[0],) + (1,) * (x.ndim - 1))
        return jnp.where(mask, x / keep, 0).astype(x.dtype)


def drop_path_rates(last: float, count: int) -> list[float]:
    """Return rates for `count` blocks that rise linearly from 0 to `last`."""
    return [last * index / max(count - 1, 1) for index in range(count)]
