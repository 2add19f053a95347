"""JPEG compression and decompression as matrix products: the codec's losses without its entropy coding.

The DCT is 8x8. The tables are those of ITU-T T.81 annex K, scaled by quality as libjpeg does. Chroma has half the
resolution (4:2:0): averaged down, and interpolated up with libjpeg's triangle filter.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.augment.resampling import Scalar, apply_separable

# fmt: off
_LUMA = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56], [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99],
], np.float32)
_CHROMA = np.full((8, 8), 99, np.float32)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
# fmt: on
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
_TO_RGB = np.linalg.inv(_TO_YCC.astype(np.float64)).astype(np.float32)


_k, _n = np.mgrid[0:8, 0:8]
# Orthonormal DCT of 8 samples.
_DCT = np.cos((2 * _n + 1) * _k * np.pi / 16.0) * np.where(_k == 0, np.sqrt(1 / 8), 0.5)


def jpeg(planes: Float[Array, "3 t h w"], *, quality: Scalar) -> Float[Array, "3 t h w"]:
    """Return RGB planes in [0, 1] as an 8-bit JPEG file of integer `quality` in [1, 100] gives them back."""
    height, width = planes.shape[-2:]
    tall, wide = -(-height // 16) * 16, -(-width // 16) * 16
    whole = jnp.round(jnp.clip(planes, 0.0, 1.0) * 255.0)
    whole = jnp.pad(whole, [(0, 0), (0, 0), (0, tall - height), (0, wide - width)], mode="edge")
    luma, chroma = jnp.round(_mixed(_TO_YCC[:1], whole))[0], jnp.round(_mixed(_TO_YCC[1:], whole))
    luma = lax.platform_dependent(
        luma - 128.0, _steps(_LUMA, quality), cpu=_luma_by_blocks, default=_luma_by_matrices
    )
    chroma = lax.platform_dependent(
        chroma, _steps(_CHROMA, quality), cpu=_chroma_by_blocks, default=_chroma_by_matrices
    )
    luma = jnp.round(jnp.clip(luma + 128.0, 0.0, 255.0))
    chroma = jnp.round(jnp.clip(chroma, -128.0, 127.0))
    channels = _TO_RGB[:, :1, None, None] * luma[None] + _mixed(_TO_RGB[:, 1:], chroma)
    decoded = jnp.clip(jnp.round(channels), 0.0, 255.0) / 255.0
    return decoded[..., :height, :width]


def _mixed(matrix: np.ndarray, channels: Float[Array, "c t h w"]) -> Float[Array, "d t h w"]:
    """Multiply over channels, written out: a matrix product would transpose the image."""
    columns = jnp.asarray(matrix)[:, :, None, None, None]
    mixed = columns[:, 0] * channels[None, 0]
    for number in range(1, channels.shape[0]):
        mixed = mixed + columns[:, number] * channels[None, number]
    return mixed


def _steps(table: np.ndarray, quality: Scalar) -> Float[Array, "8 8"]:
    """Return the quantiser steps of a quality, scaled from `table` as libjpeg does."""
    scale = jnp.where(quality < 50.0, jnp.floor(5000.0 / quality), 200.0 - 2.0 * quality)
    return jnp.clip(jnp.floor((table * scale + 50.0) / 100.0), 1.0, 255.0)


def _quantise(coefficients: Array, steps: Array) -> Array:
    return jnp.round(coefficients / steps) * steps


# For a matrix unit: whole planes between block-diagonal matrices, which include halving and doubling of chroma.


def _luma_by_matrices(luma: Float[Array, "t h w"], steps: Float[Array, "8 8"]) -> Float[Array, "t h w"]:
    dct = [_blocks(length) for length in luma.shape[-2:]]
    return _between(luma, dct, [matrix.T for matrix in dct], steps)


def _chroma_by_matrices(
    chroma: Float[Array, "2 t h w"], steps: Float[Array, "8 8"]
) -> Float[Array, "2 t h w"]:
    shape = chroma.shape[-2:]
    encode = [_blocks(length // 2) @ _halve(length) for length in shape]
    decode = [_double(length) @ _blocks(length // 2).T for length in shape]
    return _between(chroma, encode, decode, steps)


def _between(
    planes: Float[Array, "*lead h w"],
    encode: list[np.ndarray],
    decode: list[np.ndarray],
    steps: Float[Array, "8 8"],
) -> Float[Array, "*lead m n"]:
    coefficients = apply_separable(*(matrix.astype(np.float32) for matrix in encode), planes)
    tiled = jnp.tile(steps, [length // 8 for length in coefficients.shape[-2:]])
    return apply_separable(*(matrix.astype(np.float32) for matrix in decode), _quantise(coefficients, tiled))


def _blocks(length: int) -> np.ndarray:
    return np.kron(np.eye(length // 8), _DCT)


def _halve(length: int) -> np.ndarray:
    return np.kron(np.eye(length // 2), [[0.5, 0.5]])


def _double(length: int) -> np.ndarray:
    """Return the matrix from length / 2 to length samples: weights 3/4 and 1/4, the edge repeated."""
    half = length // 2
    near = np.repeat(np.eye(half), 2, axis=0)
    neighbour = np.clip(np.arange(length) // 2 + np.where(np.arange(length) % 2 == 0, -1, 1), 0, half - 1)
    return 0.75 * near + 0.25 * np.eye(half)[neighbour]


# For a CPU: block by block, one 64 x 64 matrix for both axes; a hundredth of the multiplications.


def _luma_by_blocks(luma: Float[Array, "*lead h w"], steps: Float[Array, "8 8"]) -> Float[Array, "*lead h w"]:
    *lead, height, width = luma.shape
    matrix = np.kron(_DCT, _DCT).astype(np.float32)
    axes = (*range(len(lead)), -4, -2, -3, -1)
    blocks = jnp.transpose(luma.reshape(*lead, height // 8, 8, width // 8, 8), _positive(axes))
    precision = jax.lax.Precision.HIGHEST
    coefficients = jnp.matmul(blocks.reshape(-1, 64), matrix.T, precision=precision)
    decoded = jnp.matmul(_quantise(coefficients, steps.reshape(64)), matrix, precision=precision)
    return jnp.transpose(decoded.reshape(blocks.shape), _positive(axes)).reshape(luma.shape)


def _positive(axes: tuple[int, ...]) -> list[int]:
    return [axis % len(axes) for axis in axes]


def _chroma_by_blocks(chroma: Float[Array, "2 t h w"], steps: Float[Array, "8 8"]) -> Float[Array, "2 t h w"]:
    rows = chroma[..., 0::2, :] + chroma[..., 1::2, :]
    half = 0.25 * (rows[..., 0::2] + rows[..., 1::2])
    half = _luma_by_blocks(half, steps)
    return _doubled(_doubled(half, -1), -2)


def _doubled(planes: Array, axis: int) -> Array:
    """Apply `_double` along one axis."""
    length = planes.shape[axis]
    first, last = (lax.slice_in_dim(planes, i, i + 1, axis=axis) for i in (0, length - 1))
    before = jnp.concatenate([first, lax.slice_in_dim(planes, 0, length - 1, axis=axis)], axis=axis)
    after = jnp.concatenate([lax.slice_in_dim(planes, 1, length, axis=axis), last], axis=axis)
    pairs = jnp.stack(
        [0.75 * planes + 0.25 * before, 0.75 * planes + 0.25 * after], axis=planes.ndim + axis + 1
    )
    shape = list(planes.shape)
    shape[axis] *= 2
    return pairs.reshape(shape)
