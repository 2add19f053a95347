"""Depthwise 7x7 convolution, the spatial mixing of ConvNeXt, in the form that each platform runs fastest.

On GPU and TPU it is `lax.conv_general_dilated`. On CPU XLA's grouped convolution is many times slower than
the memory allows (its weight gradient most of all), so there the forward pass and the input gradient are 49
shifted multiply-adds that XLA fuses into one loop, and the weight gradient is a scan over rows.
`benchmarks/depthwise.py` prints the ratio.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

# Columns of the weight gradient that are unrolled into one fused loop: wider is no faster and compiles
# longer.
_COLUMNS = 16


@jax.custom_vjp
def depthwise_conv(x: Float[Array, "n h w c"], kernel: Float[Array, "k k c"]) -> Float[Array, "n h w c"]:
    """Convolve each channel with its own odd-sized kernel; stride 1, zero padding that keeps the size.

    Sums are taken in float32 (or wider) and returned in the dtype of `x`. Reverse-mode differentiable only.
    Every axis
    but the spatial ones may be sharded: the only collective is the sum of the weight gradient over the batch.
    """
    return lax.platform_dependent(x, kernel, cpu=shifted_conv, default=native_conv)


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return depthwise_conv(x, kernel), (x, kernel)


def _backward(residuals: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    return lax.platform_dependent(*residuals, g, cpu=_shifted_vjp, default=_native_vjp)


depthwise_conv.defvjp(_forward, _backward)


def native_conv(x: Float[Array, "n h w c"], kernel: Float[Array, "k k c"]) -> Float[Array, "n h w c"]:
    """The same convolution as XLA's own grouped convolution."""
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None].astype(x.dtype),
        window_strides=(1, 1),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def _native_vjp(x: Array, kernel: Array, g: Array) -> tuple[Array, Array]:
    return jax.vjp(native_conv, x, kernel)[1](g)


def shifted_conv(x: Float[Array, "n h w c"], kernel: Float[Array, "k k c"]) -> Float[Array, "n h w c"]:
    """The same convolution as a sum of shifted copies of `x`, one per kernel tap."""
    k = kernel.shape[0]
    h, w = x.shape[1:3]
    accumulate = jnp.promote_types(x.dtype, jnp.float32)
    taps = kernel.astype(accumulate)
    padded = _pad(x, k // 2)
    terms = (
        padded[:, i : i + h, j : j + w].astype(accumulate) * taps[i, j][None, None, None]
        for i in range(k)
        for j in range(k)
    )
    return functools.reduce(jnp.add, terms).astype(x.dtype)


def _shifted_vjp(x: Array, kernel: Array, g: Array) -> tuple[Array, Array]:
    dx = shifted_conv(g, kernel[::-1, ::-1])
    return dx.astype(x.dtype), _kernel_gradient(x, g, kernel.shape[0]).astype(kernel.dtype)


def _kernel_gradient(x: Array, g: Array, k: int) -> Array:
    """Correlate input with output gradient: each output pixel adds its input window, times its gradient.

    The carry keeps the batch axis, so a batch that is sharded is summed over devices once, at the end.
    """
    n, h, w, c = x.shape
    accumulate = jnp.promote_types(x.dtype, jnp.float32)
    padded = _pad(x, k // 2)

    def add_row(total: Array, row: Array) -> tuple[Array, None]:
        window_rows = lax.dynamic_slice_in_dim(padded, row, k, axis=1).astype(accumulate)
        g_row = lax.dynamic_slice_in_dim(g, row, 1, axis=1).astype(accumulate)
        for start in range(0, w, _COLUMNS):
            columns = range(start, min(start + _COLUMNS, w))
            terms = (window_rows[:, :, j : j + k] * g_row[:, :, j : j + 1] for j in columns)
            total = functools.reduce(jnp.add, terms, total)
        return total, None

    total, _ = lax.scan(add_row, jnp.zeros((n, k, k, c), accumulate), jnp.arange(h))
    return total.sum(axis=0)


def _pad(x: Array, amount: int) -> Array:
    padded = jnp.pad(x, ((0, 0), (amount, amount), (amount, amount), (0, 0)))
    # Without the barrier XLA fuses the padding into every tap, as 49 bounds checks per value.
    return lax.optimization_barrier(padded)
