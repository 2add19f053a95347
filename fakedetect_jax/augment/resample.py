"""Resampling as two small matrices: every scale and translation of the recipe is separable.

A matrix multiplication runs on the matrix unit, shards over the batch without communication and needs no
gather. Precision is fixed to float32: the traces a forgery leaves are smaller than what bfloat16 rounds away.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = Float[Array, ""] | float


def interpolation_matrix(
    positions: Float[Array, "*t n"], length: int, *, step: Scalar | Float[Array, " t"] = 1.0
) -> Float[Array, "*t n length"]:
    """Rows that sample a signal of `length` pixels at `positions` (pixel centres at integer coordinates).

    `step` is the distance between samples in source pixels: up to 1 this is linear interpolation, above 1 the
    triangle kernel widens to `step` and averages what it skips (antialiasing). Positions outside repeat the
    edge pixel. Positions with a leading axis give a matrix for each of its entries, which may differ in `step`.
    """
    width = jnp.maximum(jnp.asarray(step), 1.0)[..., None, None]
    inside = jnp.clip(positions, 0.0, length - 1.0)
    distance = jnp.abs(inside[..., None] - jnp.arange(length, dtype=jnp.float32))
    weights = jnp.maximum(1.0 - distance / width, 0.0)
    return weights / jnp.sum(weights, axis=-1, keepdims=True)


def degradation_matrix(size: int, factor: Scalar) -> Float[Array, "size size"]:
    """Shrink by `factor` (real, >= 1) taking the nearest pixel, enlarge linearly: SBI's low-quality source.

    A factor of 1 is the identity. Pixel `j` of the small signal is pixel floor(j * factor) of the large one,
    as in OpenCV's INTER_NEAREST; enlarging aligns the pixel corners, as its INTER_LINEAR.
    """
    coarse_length = jnp.maximum(jnp.floor(size / factor + 1e-4), 1.0)
    ratio = size / coarse_length
    coarse = (jnp.arange(size, dtype=jnp.float32) + 0.5) / ratio - 0.5
    coarse = jnp.clip(coarse, 0.0, coarse_length - 1.0)
    lower = jnp.floor(coarse)
    upper = jnp.minimum(lower + 1.0, coarse_length - 1.0)
    fraction = coarse - lower
    columns = jnp.arange(size, dtype=jnp.float32)

    def pick(index: Float[Array, " size"]) -> Float[Array, "size size"]:
        nearest = jnp.floor(index * ratio + 1e-4)
        return (columns == nearest[:, None]).astype(jnp.float32)

    return (1.0 - fraction[:, None]) * pick(lower) + fraction[:, None] * pick(upper)


def compose(outer: Float[Array, "m n"], inner: Float[Array, "*t n k"]) -> Float[Array, "*t m k"]:
    """The matrix that applies `inner` first."""
    return jnp.matmul(outer, inner, precision=jax.lax.Precision.HIGHEST)


def apply_separable(
    rows: Float[Array, "m h"], columns: Float[Array, "n w"], planes: Float[Array, "... h w"]
) -> Float[Array, "... m n"]:
    """Resample planes: `rows` acts on the vertical axis, `columns` on the horizontal one."""
    precision = jax.lax.Precision.HIGHEST
    wide = jnp.einsum("...hw,nw->...hn", planes, columns, precision=precision)
    return jnp.einsum("mh,...hn->...mn", rows, wide, precision=precision)


def resample_frames(
    rows: Float[Array, "*t m h"], columns: Float[Array, "*t n w"], frames: Float[Array, "t h w 3"]
) -> Float[Array, "3 t m n"]:
    """Resample frames with channels last into planes with channels first, the layout of all later stages.

    The matrices are those of the whole clip, or one for each frame.
    The vertical axis goes first: it needs no transpose, and only the already shrunk result is transposed.
    """
    precision = jax.lax.Precision.HIGHEST
    per_frame = "t" if rows.ndim == 3 else ""
    shrunk = jnp.einsum(f"{per_frame}mh,thwc->tmwc", rows, frames, precision=precision)
    planes = jnp.transpose(shrunk, (3, 0, 1, 2))
    return jnp.einsum(f"ctmw,{per_frame}nw->ctmn", planes, columns, precision=precision)
