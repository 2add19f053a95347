"""Maximum over windows of any number of axes, as a chain of elementwise maxima of strided slices.

XLA's own gradient of a window's maximum is a scatter, on CPU many times slower than this (up to seven, measured). Where
values are equal this shares the gradient among them; zeros behind a ReLU have none to share.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def max_pool(
    x: Float[Array, "n *space c"],
    window: Sequence[int],
    strides: Sequence[int] | None = None,
    padding: str | Sequence[int] | None = None,
) -> Float[Array, "n *space_o c"]:
    """Maximum over windows on the axes between the first and the last.

    `strides` is the window by default; `padding` is 'SAME', as TensorFlow's, or the amount on both sides of each axis,
    by default none. The padding never wins.
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
