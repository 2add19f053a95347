"""JPEG compression and decompression as matrix products: what the codec loses, without the entropy coding.

8x8 DCT, the tables of ITU-T T.81 annex K scaled by quality as libjpeg does, chroma at half resolution (4:2:0)
averaged down and interpolated up with libjpeg's triangle filter.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.augment.resample import Scalar, apply_separable

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


def _dct(length: int) -> np.ndarray:
    """Orthonormal 8-point DCT of every block of 8 as one block-diagonal matrix."""
    k, n = np.mgrid[0:8, 0:8]
    block = np.cos((2 * n + 1) * k * np.pi / 16.0) * np.where(k == 0, np.sqrt(1 / 8), 0.5)
    return np.kron(np.eye(length // 8), block)


def _halve(length: int) -> np.ndarray:
    return np.kron(np.eye(length // 2), [[0.5, 0.5]])


def _double(length: int) -> np.ndarray:
    """From length / 2 to length samples: weights 3/4 and 1/4, the edge repeated."""
    half = length // 2
    near = np.repeat(np.eye(half), 2, axis=0)
    neighbour = np.clip(np.arange(length) // 2 + np.where(np.arange(length) % 2 == 0, -1, 1), 0, half - 1)
    return 0.75 * near + 0.25 * np.eye(half)[neighbour]


def _quantiser(table: np.ndarray, quality: Scalar, height: int, width: int) -> Float[Array, "h w"]:
    scale = jnp.where(quality < 50.0, jnp.floor(5000.0 / quality), 200.0 - 2.0 * quality)
    steps = jnp.clip(jnp.floor((table * scale + 50.0) / 100.0), 1.0, 255.0)
    blocks = jnp.broadcast_to(steps[None, :, None, :], (height // 8, 8, width // 8, 8))
    return blocks.reshape(height, width)


def _through(
    planes: Float[Array, "... h w"],
    encode: list[np.ndarray],
    decode: list[np.ndarray],
    steps: Float[Array, "a b"],
) -> Float[Array, "... h w"]:
    rows, columns = (matrix.astype(np.float32) for matrix in encode)
    coefficients = jnp.round(apply_separable(rows, columns, planes) / steps) * steps
    rows, columns = (matrix.astype(np.float32) for matrix in decode)
    return apply_separable(rows, columns, coefficients)


def jpeg(planes: Float[Array, "3 t h w"], *, quality: Scalar) -> Float[Array, "3 t h w"]:
    """RGB planes in [0, 1] as they come back from an 8-bit JPEG file of integer `quality` in [1, 100]."""
    height, width = planes.shape[-2:]
    tall, wide = -(-height // 16) * 16, -(-width // 16) * 16
    whole = jnp.round(jnp.clip(planes, 0.0, 1.0) * 255.0)
    whole = jnp.pad(whole, [(0, 0), (0, 0), (0, tall - height), (0, wide - width)], mode="edge")
    # Products of 3x3 are written out: a matrix product over three channels would transpose the image.
    luma, blueness, redness = (
        jnp.round(sum(float(w) * channel for w, channel in zip(row, whole, strict=True))) for row in _TO_YCC
    )
    dct = [_dct(tall), _dct(wide)]
    luma = _through(luma - 128.0, dct, [m.T for m in dct], _quantiser(_LUMA, quality, tall, wide))
    half = [_dct(tall // 2), _dct(wide // 2)]
    down = [half[0] @ _halve(tall), half[1] @ _halve(wide)]
    up = [_double(tall) @ half[0].T, _double(wide) @ half[1].T]
    chroma = jnp.stack([blueness, redness])
    chroma = _through(chroma, down, up, _quantiser(_CHROMA, quality, tall // 2, wide // 2))
    luma = jnp.round(jnp.clip(luma + 128.0, 0.0, 255.0))
    chroma = jnp.round(jnp.clip(chroma, -128.0, 127.0))
    channels = [
        float(row[0]) * luma + float(row[1]) * chroma[0] + float(row[2]) * chroma[1] for row in _TO_RGB
    ]
    decoded = jnp.clip(jnp.round(jnp.stack(channels)), 0.0, 255.0) / 255.0
    return decoded[..., :height, :width]
