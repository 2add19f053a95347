"""Separable resampling, blur and smooth noise.

Every scale and translation of the recipe is separable. On GPU and TPU each axis is one matrix product, which runs on
the matrix unit, shards over the batch and needs no gather. The matrix is nearly all zeros, so on a CPU only the tiles
that hold non-zeros are multiplied. Both give the same numbers. Products run in float32 precision: the traces that a
forgery leaves are smaller than what bfloat16 rounds away.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

Scalar = Float[Array | np.ndarray, ""] | float | np.floating
"""A real number, traced or not."""

# A stored crop is loose: the window around its face takes at most this share of it, rare ones aside.
_WIDEST_WINDOW = 0.75
# Outputs that are computed together, and source pixels that are selected together.
_TILE, _BLOCK = 32, 16

KNOTS = 48
"""Noise knots along each axis of `elastic_displacement`.

They span the image and a tenth of it beyond each edge: closer together than the recipe's sigma for any face that fills
the window.
"""
_OVERHANG = 0.1


class Sampling(NamedTuple):
    """How one axis is sampled: output j is the sum over k of shares[k, j] times the value at positions[k, j].

    Attributes:
        positions: Source pixels (pixel centres at integer coordinates), for the clip or for each frame.
        shares: Weights that sum to 1 over k.
        step: Distance between samples in source pixels, for the clip or for each frame. Up to 1, values are
            interpolated linearly; above, the triangle kernel widens to `step` and averages what lies between.
    """

    positions: Float[Array, "k *t n"]
    shares: Float[Array, "k n"]
    step: Scalar | Float[Array, " t"] = 1.0


def plain_sampling(
    positions: Float[Array | np.ndarray, "*t n"], step: Scalar | Float[Array, " t"] = 1.0
) -> Sampling:
    """Return a sampling that reads one value for each output."""
    return Sampling(positions[None], jnp.ones((1, positions.shape[-1])), step)


def interpolation_matrix(
    positions: Float[Array | np.ndarray, "*t n"],
    length: int,
    *,
    step: Scalar | Float[Array, " t"] = 1.0,
) -> Float[Array, "*t n length"]:
    """Return rows that sample a signal of `length` pixels at `positions`; beyond its ends the edge pixel repeats.

    Positions with a leading axis give one matrix for each of its entries. `step` is that of `Sampling` and may differ
    between the entries.
    """
    width = jnp.maximum(jnp.asarray(step), 1.0)[..., None, None]
    inside = jnp.clip(positions, 0.0, length - 1.0)
    distance = jnp.abs(inside[..., None] - jnp.arange(length, dtype=jnp.float32))
    weights = jnp.maximum(1.0 - distance / width, 0.0)
    return weights / jnp.sum(weights, axis=-1, keepdims=True)


def blur_matrix(
    positions: Float[Array | np.ndarray, " n"], length: int, *, sigma: Scalar, radius: Scalar
) -> Float[Array, "n length"]:
    """Return rows that read a signal of `length` pixels at `positions` under a Gaussian of `sigma` pixels.

    The Gaussian is cut off beyond `radius`, a real number: the last tap fades in. An integer radius r at integer
    positions gives OpenCV's kernel of 2r + 1 taps. At the border the remaining taps are renormalised, as if the image
    continued unchanged.
    """
    distance = jnp.abs(positions[:, None] - jnp.arange(length, dtype=jnp.float32))
    weights = jnp.exp(-0.5 * jnp.square(distance / sigma)) * jnp.clip(radius + 1.0 - distance, 0.0, 1.0)
    return weights / jnp.sum(weights, axis=1, keepdims=True)


def degraded_grid(size: int, factor: Scalar) -> tuple[Float[Array, "2 size"], Float[Array, "2 size"]]:
    """Shrink by taking the nearest pixel, then enlarge linearly: the low-quality source of SBI.

    Pixel `j` of the small signal is pixel floor(j * factor) of the large one, as in OpenCV's INTER_NEAREST. Enlarging
    aligns the pixel corners, as its INTER_LINEAR does.

    Args:
        size: Pixels of the signal.
        factor: A real number of at least 1; 1 is the identity.

    Returns:
        The two pixels that each pixel mixes, and their shares.
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
    rows: Float[Array | np.ndarray, "m h"],
    columns: Float[Array | np.ndarray, "n w"],
    planes: Float[Array | np.ndarray, "*lead h w"],
) -> Float[Array, "*lead m n"]:
    """Resample planes: `rows` acts on the vertical axis, `columns` on the horizontal one."""
    precision = jax.lax.Precision.HIGHEST
    wide = jnp.einsum("...hw,nw->...hn", planes, columns, precision=precision)
    return jnp.einsum("mh,...hn->...mn", rows, wide, precision=precision)


def elastic_displacement(
    noise: Float[Array | np.ndarray, "2 knots knots"], *, size: int, alpha: Scalar, sigma: Scalar
) -> tuple[Float[Array, "{size} {size}"], Float[Array, "{size} {size}"]]:
    """Return displacements (dx, dy) in pixels, distributed as in the classical elastic transform.

    The classical transform (Simard et al. 2003) blurs uniform noise in [-1, 1] with a Gaussian of `sigma` pixels and
    multiplies by `alpha`: its standard deviation is alpha / (sqrt(12 pi) sigma). Here `noise` of mean 0 and variance 1
    on a coarse grid of KNOTS x KNOTS goes through the same Gaussian; rows of unit norm give exactly that deviation,
    and the noise is never made at full size.
    """
    span = 1.0 + 2.0 * _OVERHANG
    knots = (np.arange(KNOTS) / (KNOTS - 1) * span - _OVERHANG) * size - 0.5
    offset = jnp.arange(size, dtype=jnp.float32)[:, None] - knots.astype(np.float32)
    kernel = jnp.exp(-0.5 * jnp.square(offset / sigma)) + 1e-12
    kernel = kernel / jnp.linalg.norm(kernel, axis=1, keepdims=True)
    field = apply_separable(kernel, kernel, noise) * (alpha / (jnp.sqrt(12.0 * jnp.pi) * sigma))
    return field[0], field[1]


def resample_frames(
    rows: Sampling,
    columns: Sampling,
    frames: Float[Array | np.ndarray, "t h w 3"],
    *,
    spread: float = 0.0,
    magnified: float = 1.0,
) -> Float[Array, "3 t m n"]:
    """Resample frames with channels last into planes with channels first, the layout of all later stages.

    A step beyond that of a view of three quarters of the source is clipped to it: a view wider than that of a face
    lacks a little antialiasing.

    Args:
        rows: Sampling of the vertical axis.
        columns: Sampling of the horizontal axis.
        frames: RGB in [0, 1].
        spread: Bound on the distance, in outputs, between an output and the places that it reads.
        magnified: Bound on the step, as a multiple of the step of a view of the whole source.
    """
    limited = [
        sampling._replace(step=jnp.minimum(sampling.step, _largest_step(sampling, length)))
        for sampling, length in zip((rows, columns), frames.shape[1:3], strict=True)
    ]
    tiles = functools.partial(_by_tiles, spread=spread, magnified=magnified)
    return lax.platform_dependent(*limited, frames, cpu=tiles, default=_by_matrices)


def computed_once(planes: Float[Array, "3 *rest"]) -> Float[Array, "3 *rest"]:
    """Return the same planes, kept in memory: on a CPU, XLA would recompute them for each of their readers."""

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
    rows: Sampling, columns: Sampling, frames: Float[Array | np.ndarray, "t h w 3"]
) -> Float[Array, "3 t m n"]:
    precision = jax.lax.Precision.HIGHEST
    left, right = (_matrix(s, length) for s, length in zip((rows, columns), frames.shape[1:3], strict=True))
    # The vertical axis goes first: it needs no transpose, and what is transposed has shrunk already.
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
    frames: Float[Array | np.ndarray, "t h w 3"],
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
    """Multiply `_matrix` and the signal; each tile of outputs meets only the blocks of the signal that it reads."""
    length, outputs = signal.shape[0], sampling.positions.shape[-1]
    tiles, blocks = math.ceil(outputs / _TILE), math.ceil(length / _BLOCK)
    # A view may be wider than the limit on the step assumes, up to the whole signal.
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

    # Blocks are selected by a product too: an index that depends on the example would become a gather.
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
