"""Frequency branch: learnable filters on the spectrum of a frame, then a small conv net on what passes.

Forgeries betray themselves in high-frequency residuals: resampling, blending and re-encoding change them
although the picture looks the same. The idea of learnable complex weights on the half spectrum is that of
M2TR (Wang et al., ICMR 2022) and GFNet (Rao et al., NeurIPS 2021); fixed bands as a starting point that of
F3Net (Qian et al., ECCV 2020).

The Fourier transform is two matmuls with constant matrices instead of an fft: it shards over the batch
without communication, runs on the matrix unit and converts to every export format.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.conv_stages import ConvStages


def rfft2(x: Float[Array, "n h w c"]) -> Float[Array, "n c k h 2"]:
    """Orthonormal spectrum over h and w, as `numpy.fft.rfft2`: k = w // 2 + 1, real and imaginary part last.

    The layout is the one in which each of the two transforms is a single matmul.
    """
    h, w = x.shape[1:3]
    # Default precision on TPU and GPU would round the picture to 8-11 bits and drown the faint residuals.
    rows = jnp.einsum("nhwc,wkr->nchkr", x, _row_transform(w), precision="highest")
    return jnp.einsum("nchkr,hrgs->nckgs", rows, _column_transform(h), precision="highest")


def irfft2(spectrum: Float[Array, "n c k h 2"], width: int) -> Float[Array, "n h {width} c"]:
    """Inverse of `rfft2` for frames of `width` columns, as `numpy.fft.irfft2`."""
    # The transform over columns is orthogonal as a real matrix, so its transpose inverts it.
    rows = jnp.einsum(
        "nckgs,hrgs->nchkr", spectrum, _column_transform(spectrum.shape[3]), precision="highest"
    )
    inverse = (_row_transform(width) * _multiplicity(width)).astype(np.float32)
    return jnp.einsum("nchkr,wkr->nhwc", rows, inverse, precision="highest")


def complex_product(a: Float[Array, "*shape 2"], b: Float[Array, "*shape 2"]) -> Float[Array, "*shape 2"]:
    """Product of complex numbers whose real and imaginary parts are along the last axis."""
    real, imag = (lax.index_in_dim(a, part, axis=-1, keepdims=False) for part in (0, 1))
    other_real, other_imag = (lax.index_in_dim(b, part, axis=-1, keepdims=False) for part in (0, 1))
    return jnp.stack([real * other_real - imag * other_imag, real * other_imag + imag * other_real], axis=-1)


def _row_transform(width: int) -> np.ndarray:
    """[w, k, real or imaginary] matrix from real columns to the half spectrum."""
    angle = 2 * np.pi * np.outer(np.arange(width), np.arange(width // 2 + 1)) / width
    return (np.stack([np.cos(angle), -np.sin(angle)], axis=-1) / np.sqrt(width)).astype(np.float32)


def _column_transform(height: int) -> np.ndarray:
    """[h, in real or imaginary, g, out real or imaginary] matrix of the complex transform over rows."""
    angle = 2 * np.pi * np.outer(np.arange(height), np.arange(height)) / height
    from_real = np.stack([np.cos(angle), -np.sin(angle)], axis=-1)
    from_imag = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    return (np.stack([from_real, from_imag], axis=1) / np.sqrt(height)).astype(np.float32)


def _multiplicity(width: int) -> np.ndarray:
    """[k, 1]: 2 for the columns of the half spectrum that have a mirrored twin in the whole one, else 1."""
    return np.where((np.arange(width // 2 + 1) * 2) % width == 0, 1, 2)[:, None]


def high_passes(height: int, width: int, filters: int) -> np.ndarray:
    """Initial responses [filters, width // 2 + 1, height]: Gaussian high-passes.

    Filter i is half open at 1/2, 1/4, 1/8, ... of the Nyquist frequency. Each is scaled to give unit variance
    for a natural image of unit variance, whose power falls as 1 / frequency^2.
    """
    radius = np.hypot(np.fft.rfftfreq(width)[:, None], np.fft.fftfreq(height)[None]) / 0.5
    power = _multiplicity(width) * np.where(radius > 0, 1 / np.maximum(radius, 1e-9) ** 2, 0)
    bank = []
    for index in range(filters):
        response = 1 - np.exp2(-((radius / 0.5 ** (index + 1)) ** 2))
        bank.append(response * np.sqrt(power.sum() / (power * response**2).sum()))
    return np.stack(bank).astype(np.float32)


class SpectralFilter(nn.Module):
    """Learnable high-pass filters, each a complex gain per frequency and colour channel.

    Response = base x (1 + gain), where the gain starts as small noise and the base is `high_passes`: weight
    decay pulls towards the base, and a filter stays closed at low frequencies, where pictures are a thousand
    times stronger.

    Attributes:
        filters: number of filters. The size of the frames given to `init` fixes that of the filters.
    """

    filters: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w filters*c"]:
        """Return the filtered frames in float32; filtering is circular, so opposite edges touch."""
        n, h, w, c = x.shape
        base = high_passes(h, w, self.filters)[:, None, ..., None]
        gain = self.param("gain", nn.initializers.normal(0.02), (self.filters, c, w // 2 + 1, h, 2))
        response = base * (gain + np.array([1, 0], np.float32)[None, None, None, None])
        spectrum = rfft2(x.astype(jnp.float32))[:, None]
        filtered = complex_product(spectrum, response[None])
        return irfft2(filtered.reshape((n, self.filters * c, w // 2 + 1, h, 2)), width=w)


class FrequencyBranch(nn.Module):
    """The frame beside its filtered versions, then a conv net (`ConvStages`).

    Attributes:
        widths: channels of each stage; stage i has stride 2^(i+1).
        depth: residual 3x3 convs of each stage.
        filters: number of spectral filters per channel.
        dtype: compute dtype of the conv net. The spectrum is always float32.
    """

    widths: Sequence[int] = (24, 48, 96)
    depth: int = 1
    filters: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        ConvStages(self.widths, parent=None)  # raises here rather than at init when an option is wrong
        if self.filters < 1:
            raise FakedetectError(f"frequency filters={self.filters!r} must be at least 1")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n h_s w_s d_s"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        x = jnp.concatenate([images, SpectralFilter(self.filters, name="filter")(images)], axis=-1)
        return ConvStages(self.widths, self.depth, dtype=self.dtype, name="stages")(x)
