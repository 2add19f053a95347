"""Depthwise convolution (one kernel per channel) in the form that each platform runs fastest.

On GPUs and TPUs it is `lax.conv_general_dilated`. On CPUs XLA's grouped convolution is many times slower than the
memory allows, its weight gradient most of all. There the forward pass and the input gradient are shifted multiply-adds,
one per kernel tap, which XLA fuses into one loop, and the weight gradient is a scan over rows.
`benchmarks/depthwise.py` prints the ratio for ConvNeXt's 7x7.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.models.layers import Padding

# Columns of the weight gradient that are unrolled into one fused loop. More are no faster and compile longer.
_COLUMNS = 16


def depthwise_normal(size: int) -> Callable[..., Array]:
    """Return the initialiser of depthwise kernels of side `size`, `he_fan_out` for a single channel."""
    return jax.nn.initializers.normal((2 / size**2) ** 0.5)


def depthwise_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "k k c"],
    stride: int = 1,
    padding: Padding | None = None,
) -> Float[Array, "n h_s w_s c"]:
    """Convolve each channel with its own kernel.

    The convolution is differentiable in reverse mode only. Batch and channels may be sharded: the only collective is
    the sum of the weight gradient over the batch.

    Args:
        x: maps in any float dtype.
        kernel: one k x k kernel for each channel.
        stride: step of the kernel.
        padding: zeros (before, after) along height and width, fewer than k; None for k // 2 on every side.

    Returns:
        Sums taken in float32 (or wider), in the dtype of `x`.
    """
    return _jitted(x, kernel, stride, padding)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _depthwise_conv(x: Array, kernel: Array, stride: int, padding: Padding | None) -> Array:
    return lax.platform_dependent(
        x,
        kernel,
        cpu=functools.partial(shifted_conv, stride=stride, padding=padding),
        default=functools.partial(native_conv, stride=stride, padding=padding),
    )


def _forward(
    x: Array, kernel: Array, stride: int, padding: Padding | None
) -> tuple[Array, tuple[Array, Array]]:
    return _depthwise_conv(x, kernel, stride, padding), (x, kernel)


def _backward(
    stride: int, padding: Padding | None, residuals: tuple[Array, Array], g: Array
) -> tuple[Array, Array]:
    return lax.platform_dependent(
        *residuals,
        g,
        cpu=functools.partial(_shifted_vjp, stride=stride, padding=padding),
        default=functools.partial(_native_vjp, stride=stride, padding=padding),
    )


_depthwise_conv.defvjp(_forward, _backward)
# With jit, the like blocks of a stage are traced once. Python's loop over the taps is most of the time before a model
# is compiled.
_jitted = jax.jit(_depthwise_conv, static_argnums=(2, 3))


def native_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "k k c"],
    stride: int = 1,
    padding: Padding | None = None,
) -> Float[Array, "n h_s w_s c"]:
    """Convolve as `depthwise_conv`, by XLA's own grouped convolution."""
    return lax.conv_general_dilated(
        x,
        kernel[:, :, None].astype(x.dtype),
        window_strides=(stride, stride),
        padding=padding or _centred(kernel),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def _native_vjp(
    x: Array, kernel: Array, g: Array, *, stride: int, padding: Padding | None
) -> tuple[Array, Array]:
    return jax.vjp(functools.partial(native_conv, stride=stride, padding=padding), x, kernel)[1](g)


def shifted_conv(
    x: Float[Array, "n h w c"],
    kernel: Float[Array, "k k c"],
    stride: int = 1,
    padding: Padding | None = None,
) -> Float[Array, "n h_s w_s c"]:
    """Convolve as `depthwise_conv`, by a sum of shifted copies of `x`, one per kernel tap."""
    return _correlate(_pad(x, padding or _centred(kernel)), kernel, stride)


def _correlate(padded: Array, kernel: Array, stride: int) -> Array:
    k = kernel.shape[0]
    h, w = ((size - k) // stride + 1 for size in padded.shape[1:3])
    accumulate = jnp.promote_types(padded.dtype, jnp.float32)
    taps = kernel.astype(accumulate)
    n, c = padded.shape[0], padded.shape[3]

    def term(i: int, j: int) -> Array:
        # Indexing with a step would become a gather when the batch size is symbolic.
        end = (n, i + (h - 1) * stride + 1, j + (w - 1) * stride + 1, c)
        shifted = lax.slice(padded, (0, i, j, 0), end, (1, stride, stride, 1)).astype(accumulate)
        tap = lax.reshape(lax.slice(taps, (i, j, 0), (i + 1, j + 1, c)), (c,))
        return lax.mul(shifted, lax.broadcast_in_dim(tap, shifted.shape, (3,)))

    terms = (term(i, j) for i in range(k) for j in range(k))
    return functools.reduce(lax.add, terms).astype(padded.dtype)


def _shifted_vjp(
    x: Array, kernel: Array, g: Array, *, stride: int, padding: Padding | None
) -> tuple[Array, Array]:
    padding = padding or _centred(kernel)
    k = kernel.shape[0]
    # The transposed convolution: output gradients, spread `stride` apart, correlated with the flipped kernel.
    spread = [
        (k - 1 - before, size + before - ((outputs - 1) * stride + 1))
        for size, outputs, (before, _) in zip(x.shape[1:3], g.shape[1:3], padding, strict=True)
    ]
    dx = _correlate(_pad(g, (spread[0], spread[1]), interior=stride - 1), kernel[::-1, ::-1], 1)
    return dx.astype(x.dtype), _kernel_gradient(_pad(x, padding), g, k, stride).astype(kernel.dtype)


def _kernel_gradient(padded: Array, g: Array, k: int, stride: int) -> Array:
    """Correlate input with output gradient: each output pixel adds its input window times its gradient.

    The carry keeps the batch axis, so a sharded batch is summed over devices once, at the end.
    """
    n, h, w, c = g.shape
    accumulate = jnp.promote_types(padded.dtype, jnp.float32)

    def add_row(total: Array, row: Array) -> tuple[Array, None]:
        window_rows = lax.dynamic_slice_in_dim(padded, row * stride, k, axis=1).astype(accumulate)
        g_row = lax.dynamic_slice_in_dim(g, row, 1, axis=1).astype(accumulate)
        for start in range(0, w, _COLUMNS):
            columns = range(start, min(start + _COLUMNS, w))
            terms = (window_rows[:, :, j * stride : j * stride + k] * g_row[:, :, j : j + 1] for j in columns)
            total = functools.reduce(jnp.add, terms, total)
        return total, None

    total, _ = lax.scan(add_row, jnp.zeros((n, k, k, c), accumulate), jnp.arange(h))
    return total.sum(axis=0)


def _centred(kernel: Array) -> Padding:
    half = kernel.shape[0] // 2
    return (half, half), (half, half)


def _pad(x: Array, padding: Padding, interior: int = 0) -> Array:
    rows, columns = ((before, after, interior) for before, after in padding)
    padded = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), rows, columns, (0, 0, 0)))
    # Without the barrier XLA fuses the padding into every tap, as one bounds check per tap and value.
    return lax.optimization_barrier(padded)
