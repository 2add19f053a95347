"""Cosine and Fourier transforms as matmuls with constant matrices.

Unlike an fft, a matmul shards over the batch without communication, runs on the matrix unit and converts to every
export format. Matmuls are at precision "highest": the default precision of TPUs and GPUs would round the picture to
8-11 bits and drown faint residuals.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float


def dct_matrix(size: int) -> Float[np.ndarray, "{size} {size}"]:
    """Return the orthonormal cosine transform of type II [frequency, place], `scipy.fft.dct(..., norm="ortho")`."""
    frequency, place = np.arange(size)[:, None], np.arange(size)[None]
    matrix = np.cos(np.pi * (2 * place + 1) * frequency / (2 * size)) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def rfft2(x: Float[Array, "n h w c"]) -> Float[Array, "n c k h 2"]:
    """Return the orthonormal spectrum over h and w, `numpy.fft.rfft2`, with real and imaginary parts last.

    The half spectrum has k = w // 2 + 1 columns. In this layout each of the two transforms is a single matmul.
    """
    h, w = x.shape[1:3]
    rows = jnp.einsum("nhwc,wkr->nchkr", x, _row_transform(w), precision="highest")
    return jnp.einsum("nchkr,hrgs->nckgs", rows, _column_transform(h), precision="highest")


def irfft2(spectrum: Float[Array, "n c k h 2"], width: int) -> Float[Array, "n h {width} c"]:
    """Invert `rfft2` for frames of `width` columns, `numpy.fft.irfft2`."""
    # The transform over columns is orthogonal as a real matrix, so its transpose inverts it.
    rows = jnp.einsum(
        "nckgs,hrgs->nchkr", spectrum, _column_transform(spectrum.shape[3]), precision="highest"
    )
    inverse = (_row_transform(width) * multiplicity(width)).astype(np.float32)
    return jnp.einsum("nchkr,wkr->nhwc", rows, inverse, precision="highest")


def complex_product(a: Float[Array, "... 2"], b: Float[Array, "... 2"]) -> Float[Array, "... 2"]:
    """Multiply complex numbers whose real and imaginary parts are along the last axis."""
    real, imag = (lax.index_in_dim(a, part, axis=-1, keepdims=False) for part in (0, 1))
    other_real, other_imag = (lax.index_in_dim(b, part, axis=-1, keepdims=False) for part in (0, 1))
    return jnp.stack([real * other_real - imag * other_imag, real * other_imag + imag * other_real], axis=-1)


def multiplicity(width: int) -> Float[np.ndarray, "k 1"]:
    """Return how often each column of the half spectrum occurs in the whole one: 2 with a mirrored twin, else 1."""
    return np.where((np.arange(width // 2 + 1) * 2) % width == 0, 1.0, 2.0)[:, None]


def _row_transform(width: int) -> Float[np.ndarray, "{width} k 2"]:
    """Return the matrix from real rows to their half spectrum: [place, frequency, real or imaginary]."""
    angle = 2 * np.pi * np.outer(np.arange(width), np.arange(width // 2 + 1)) / width
    return (np.stack([np.cos(angle), -np.sin(angle)], axis=-1) / np.sqrt(width)).astype(np.float32)


def _column_transform(height: int) -> Float[np.ndarray, "{height} 2 {height} 2"]:
    """Return the complex transform of columns: [place, real or imaginary in, frequency, real or imaginary out]."""
    angle = 2 * np.pi * np.outer(np.arange(height), np.arange(height)) / height
    from_real = np.stack([np.cos(angle), -np.sin(angle)], axis=-1)
    from_imag = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return (np.stack([from_real, from_imag], axis=1) / np.sqrt(height)).astype(np.float32)
