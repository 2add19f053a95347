"""Resampling along the axes: every scale and translation of the recipe is separable.

On GPU and TPU an axis is one matrix product, which runs on the matrix unit, shards over the batch and needs no
gather. The matrix is nearly all zeros, so a processor multiplies only tiles of it. Both give the same numbers.
Precision is fixed to float32: the traces a forgery leaves are smaller than what bfloat16 rounds away.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Scalar = Float[Array, ""] | float
# Share of a stored crop, which is loose, that the window around its face takes at most, but for odd ones.
_WIDEST_WINDOW = 0.75
# Outputs that are computed together, and source pixels that are chosen together.
_TILE, _BLOCK = 32, 16


class Sampling(NamedTuple):
    """How one axis is sampled: output j is the sum over k of shares[k, j] times the value at positions[k, j].

    Attributes:
        positions: in source pixels (pixel centres at integer coordinates), for the clip or for each frame.
        shares: weights with sum 1 over k.
        step: distance between samples in source pixels, for the clip or for each frame. Up to 1 a value is
            interpolated linearly; above, the triangle kernel widens to `step` and averages what it skips.
    """

    positions: Float[Array, "k *t n"]
    shares: Float[Array, "k n"]
    step: Scalar | Float[Array, " t"] = 1.0


def plain_sampling(positions: Float[Array, "*t n"], step: Scalar | Float[Array, " t"] = 1.0) -> Sampling:
    """One value for each output."""
    return Sampling(positions[None], jnp.ones((1, positions.shape[-1])), step)


def interpolation_matrix(
    positions: Float[Array, "*t n"], length: int, *, step: Scalar | Float[Array, " t"] = 1.0
) -> Float[Array, "*t n length"]:
    """Rows that sample a signal of `length` pixels at `positions`; those outside repeat the edge pixel.

    Positions with a leading axis give a matrix for each of its entries, which may differ in `step`, for which
    see `Sampling`.
    """
    width = jnp.maximum(jnp.asarray(step), 1.0)[..., None, None]
    inside = jnp.clip(positions, 0.0, length - 1.0)
    distance = jnp.abs(inside[..., None] - jnp.arange(length, dtype=jnp.float32))
    weights = jnp.maximum(1.0 - distance / width, 0.0)
    return weights / jnp.sum(weights, axis=-1, keepdims=True)


def degraded_grid(size: int, factor: Scalar) -> tuple[Float[Array, "2 size"], Float[Array, "2 size"]]:
    """Shrink by `factor` (real, >= 1) taking the nearest pixel, enlarge linearly: SBI's low-quality source.

    Returns the two pixels that each pixel mixes, and their shares. A factor of 1 is the identity. Pixel `j` of
    the small signal is pixel floor(j * factor) of the large one, as in OpenCV's INTER_NEAREST; enlarging aligns
    the pixel corners, as its INTER_LINEAR.
    """
    coarse_length = jnp.maximum(jnp.floor(size / factor + 1e-4), 1.0)
    ratio = size / coarse_length
    coarse = (jnp.arange(size, dtype=jnp.float32) + 0.5) / ratio - 0.5
    coarse = jnp.clip(coarse, 0.0, coarse_length - 1.0)
    lower = jnp.floor(coarse)
    both = jnp.stack([lower, jnp.minimum(lower + 1.0, coarse_length - 1.0)])
    fraction = coarse - lower
    return jnp.floor(both * ratio + 1e-4), jnp.stack([1.0 - fraction, fraction])


def apply_separable(
    rows: Float[Array, "m h"], columns: Float[Array, "n w"], planes: Float[Array, "... h w"]
) -> Float[Array, "... m n"]:
    """Resample planes: `rows` acts on the vertical axis, `columns` on the horizontal one."""
    precision = jax.lax.Precision.HIGHEST
    wide = jnp.einsum("...hw,nw->...hn", planes, columns, precision=precision)
    return jnp.einsum("mh,...hn->...mn", rows, wide, precision=precision)


def resample_frames(
    rows: Sampling,
    columns: Sampling,
    frames: Float[Array, "t h w 3"],
    *,
    spread: float = 0.0,
    magnified: float = 1.0,
) -> Float[Array, "3 t m n"]:
    """Resample frames with channels last into planes with channels first, the layout of all later stages.

    `spread` bounds how far from its place, in outputs, an output reads; `magnified` bounds the step, as a multiple of
    that of a view of the whole source. A step beyond that of a view of three
    quarters of the source is taken as that: a wider view than a face's lacks a little antialiasing.
    """
    limited = [
        sampling._replace(step=jnp.minimum(sampling.step, _largest_step(sampling, length)))
        for sampling, length in zip((rows, columns), frames.shape[1:3], strict=True)
    ]
    tiles = functools.partial(_by_tiles, spread=spread, magnified=magnified)
    return lax.platform_dependent(*limited, frames, cpu=tiles, default=_by_matrices)


def computed_once(planes: Float[Array, "3 *rest"]) -> Float[Array, "3 *rest"]:
    """The same planes, kept in memory: on a processor XLA would compute them anew for everything that reads them."""

    def write(planes: Float[Array, "3 *rest"]) -> Float[Array, "3 *rest"]:
        kept = jnp.zeros_like(planes)
        for channel in range(3):
            part = lax.slice_in_dim(planes, channel, channel + 1)
            kept = lax.dynamic_update_slice_in_dim(kept, part, channel, 0)
        return kept

    return lax.platform_dependent(planes, cpu=write, default=lambda planes: planes)


def _largest_step(sampling: Sampling, length: int) -> float:
    return max(1.0, _WIDEST_WINDOW * length / sampling.positions.shape[-1])


def _by_matrices(
    rows: Sampling, columns: Sampling, frames: Float[Array, "t h w 3"]
) -> Float[Array, "3 t m n"]:
    precision = jax.lax.Precision.HIGHEST
    left, right = (_matrix(s, length) for s, length in zip((rows, columns), frames.shape[1:3], strict=True))
    # The vertical axis goes first: it needs no transpose, and only the already shrunk result is transposed.
    shrunk = jnp.einsum(f"{'t' * (left.ndim - 2)}mh,thwc->tmwc", left, frames, precision=precision)
    planes = jnp.transpose(shrunk, (3, 0, 1, 2))
    return jnp.einsum(f"ctmw,{'t' * (right.ndim - 2)}nw->ctmn", planes, right, precision=precision)


def _matrix(sampling: Sampling, length: int) -> Float[Array, "*t n length"]:
    parts = [
        share[:, None] * interpolation_matrix(positions, length, step=sampling.step)
        for positions, share in zip(sampling.positions, sampling.shares, strict=True)
    ]
    return jnp.sum(jnp.stack(parts), axis=0)


def _by_tiles(
    rows: Sampling,
    columns: Sampling,
    frames: Float[Array, "t h w 3"],
    *,
    spread: float,
    magnified: float = 1.0,
) -> Float[Array, "3 t m n"]:
    def one(rows: Sampling, columns: Sampling, frame: Float[Array, "h w 3"]) -> Float[Array, "3 m n"]:
        height, width = frame.shape[:2]
        tall = _tiled_product(rows, frame.reshape(height, -1), spread, magnified)
        turned = jnp.transpose(tall.reshape(-1, width, 3), (1, 2, 0))
        both = _tiled_product(columns, turned.reshape(width, -1), spread, magnified)
        return jnp.transpose(both.reshape(-1, 3, tall.shape[0]), (1, 2, 0))

    axes = [
        Sampling(1 if s.positions.ndim == 3 else None, None, 0 if jnp.ndim(s.step) else None)  # pyright: ignore
        for s in (rows, columns)
    ]
    return jax.vmap(one, in_axes=(*axes, 0), out_axes=1)(rows, columns, frames)


def _tiled_product(
    sampling: Sampling, signal: Float[Array, "length k"], spread: float, magnified: float
) -> Float[Array, "n k"]:
    """`_matrix` times the signal, where each tile of outputs meets only the blocks of the signal that it reads."""
    length, outputs = signal.shape[0], sampling.positions.shape[-1]
    tiles, blocks = math.ceil(outputs / _TILE), math.ceil(length / _BLOCK)
    # A view may be wider than what the step is limited to, up to the whole signal.
    step = max(_largest_step(sampling, length), length / outputs * magnified)
    reach = (_TILE - 1 + 2.0 * spread) * step + 2.0 * _largest_step(sampling, length)
    taken = min(blocks, math.ceil((reach + _BLOCK) / _BLOCK))

    padded = ((0, 0), (0, tiles * _TILE - outputs))
    positions = jnp.pad(jnp.clip(sampling.positions, 0.0, length - 1.0), padded, mode="edge")
    shares = jnp.pad(sampling.shares, padded, mode="edge")
    positions, shares = (values.reshape(-1, tiles, _TILE) for values in (positions, shares))
    width = jnp.maximum(sampling.step, 1.0)
    first = jnp.floor((jnp.min(positions, axis=(0, 2)) - width) / _BLOCK)
    first = jnp.clip(first, 0, blocks - taken)

    # Choosing blocks is a product as well: an index that depends on the example would make a gather of it.
    chosen = first[:, None] + jnp.arange(taken)
    choice = (chosen[..., None] == jnp.arange(blocks)).astype(jnp.float32).reshape(-1, blocks)
    whole = jnp.pad(signal, ((0, blocks * _BLOCK - length), (0, 0)))
    near = jnp.matmul(choice, whole.reshape(blocks, -1), precision=jax.lax.Precision.HIGHEST)

    source = (first[:, None] * _BLOCK + jnp.arange(taken * _BLOCK))[None, :, None]
    weights = jnp.maximum(1.0 - jnp.abs(positions[..., None] - source) / width, 0.0) * (source < length)
    weights = shares[..., None] * weights / jnp.sum(weights, axis=-1, keepdims=True)
    out = jnp.matmul(
        jnp.sum(weights, axis=0), near.reshape(tiles, taken * _BLOCK, -1), precision=jax.lax.Precision.HIGHEST
    )
    return out.reshape(tiles * _TILE, -1)[:outputs]
