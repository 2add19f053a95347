"""The discrete cosine transform as a matrix."""

import numpy as np


def dct_matrix(size: int) -> np.ndarray:
    """[frequency, place]: the orthonormal transform of type II, as `scipy.fft.dct(..., norm="ortho")`."""
    frequency, place = np.arange(size)[:, None], np.arange(size)[None]
    matrix = np.cos(np.pi * (2 * place + 1) * frequency / (2 * size)) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)
