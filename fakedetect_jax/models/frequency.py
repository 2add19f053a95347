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
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_truncated_normal = nn.initializers.truncated_normal(0.02)


def rfft2(x: Float[Array, "n h w c"]) -> tuple[Float[Array, "n h k c"], Float[Array, "n h k c"]]:
    """Real and imaginary part of the orthonormal spectrum over h and w, k = w // 2 + 1, as `numpy.fft.rfft2`."""
    h, w = x.shape[1:3]
    real_w, imag_w = _row_matrices(w)
    # Default precision on TPU and GPU would round the picture to 8-11 bits and drown the faint residuals.
    dot = lambda v, m, spec: jnp.einsum(spec, v, m, precision="highest")  # noqa: E731
    a, b = dot(x, real_w, "nhwc,wk->nhkc"), dot(x, imag_w, "nhwc,wk->nhkc")
    real_h, imag_h = _column_matrices(h)
    real = dot(a, real_h, "nhkc,hg->ngkc") - dot(b, imag_h, "nhkc,hg->ngkc")
    imag = dot(a, imag_h, "nhkc,hg->ngkc") + dot(b, real_h, "nhkc,hg->ngkc")
    return real, imag


def irfft2(
    real: Float[Array, "n h k c"], imag: Float[Array, "n h k c"], width: int
) -> Float[Array, "n h {width} c"]:
    """Inverse of `rfft2` for frames of `width` columns. As `numpy.fft.irfft2`."""
    h = real.shape[1]
    dot = lambda v, m, spec: jnp.einsum(spec, v, m, precision="highest")  # noqa: E731
    real_h, imag_h = _column_matrices(h)
    # The inverse matrix over rows is the conjugate.
    a = dot(real, real_h, "nhkc,hg->ngkc") + dot(imag, imag_h, "nhkc,hg->ngkc")
    b = dot(imag, real_h, "nhkc,hg->ngkc") - dot(real, imag_h, "nhkc,hg->ngkc")
    real_w, imag_w = _row_matrices(width)
    # Columns 1 .. ceil(width / 2) - 1 stand for their mirrored twins, too.
    twice = np.full(width // 2 + 1, 2.0, np.float32)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    return dot(a, real_w.T * twice[:, None], "nhkc,kw->nhwc") + dot(
        b, imag_w.T * twice[:, None], "nhkc,kw->nhwc"
    )


def _row_matrices(width: int) -> tuple[np.ndarray, np.ndarray]:
    angle = 2 * np.pi * np.outer(np.arange(width), np.arange(width // 2 + 1)) / width
    return _scaled(np.cos(angle), width), _scaled(-np.sin(angle), width)


def _column_matrices(height: int) -> tuple[np.ndarray, np.ndarray]:
    angle = 2 * np.pi * np.outer(np.arange(height), np.arange(height)) / height
    return _scaled(np.cos(angle), height), _scaled(-np.sin(angle), height)


def _scaled(matrix: np.ndarray, length: int) -> np.ndarray:
    return (matrix / np.sqrt(length)).astype(np.float32)


def base_response(height: int, width: int, filters: int) -> np.ndarray:
    """Initial response [filters, height, width // 2 + 1] of the filters: identity, then Gaussian high-passes.

    Filter i > 0 is half open at 1/2, 1/4, ... of the Nyquist frequency (the
    last filter is the widest). Each is scaled to give unit variance for a natural image of unit variance,
    whose power falls as 1/f^2.
    """
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    radius = np.hypot(fy, fx) / 0.5
    power = np.where(radius > 0, 1 / np.maximum(radius, 1e-9) ** 2, 0)
    bank = [np.ones_like(radius)]
    for index in range(1, filters):
        cutoff = 0.5**index
        response = 1 - np.exp(-np.log(2) * (radius / cutoff) ** 2)
        bank.append(response * np.sqrt(power.sum() / (power * response**2).sum()))
    return np.stack(bank).astype(np.float32)


class SpectralFilter(nn.Module):
    """A bank of learnable filters, each a complex gain per frequency and colour channel.

    Response = base x (1 + gain), where the gain starts as small noise and the base is `base_response`:
    weight decay pulls towards the base, and a high-pass stays closed at low frequencies, where pictures are
    a thousand times stronger.

    Attributes:
        filters: number of filters; outputs are filters x channels maps. The size of the first input fixes
            that of the filters.
    """

    filters: int = 2

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w filters*c"]:
        """Return the filtered frames in float32; filtering is circular, so opposite edges touch."""
        h, w, c = x.shape[1:]
        noise = nn.initializers.normal(0.02)
        shape = (h, w // 2 + 1, self.filters * c)
        gain_real, gain_imag = self.param("gain_real", noise, shape), self.param("gain_imag", noise, shape)
        base = jnp.asarray(np.repeat(np.moveaxis(base_response(h, w, self.filters), 0, -1), c, axis=-1))
        response_real, response_imag = (base * (1 + gain_real))[None], (base * gain_imag)[None]
        real, imag = (
            jnp.concatenate([part] * self.filters, axis=-1) for part in rfft2(x.astype(jnp.float32))
        )
        return irfft2(
            real * response_real - imag * response_imag, real * response_imag + imag * response_real, width=w
        )


class FrequencyBranch(nn.Module):
    """Spectral filters, then a stride-2 conv per width, each with a residual conv behind it.

    Attributes:
        widths: channels of each stage; stage i has stride 2^(i+1).
        depth: residual 3x3 convs behind each stage's strided one.
        filters: number of spectral filters per colour channel.
        dtype: compute dtype of the conv net. The spectrum is always float32.
    """

    widths: Sequence[int] = (24, 48, 96)
    depth: int = 1
    filters: int = 2
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not self.widths or any(width % 8 for width in self.widths):
            raise ValueError(
                f"frequency widths={self.widths!r} must be multiples of 8 (the norm has 8 groups)"
            )
        if self.filters < 1:
            raise ValueError(f"frequency filters={self.filters!r} must be at least 1")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n h_s w_s d_s"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        x, maps = SpectralFilter(self.filters, name="filter")(images).astype(self.dtype), []
        for stage, width in enumerate(self.widths):
            x = self._conv(width, stride=2, name=f"stage{stage}")(x)
            x = jax.nn.gelu(self._norm(f"stage{stage}_norm")(x))
            for index in range(self.depth):
                y = self._conv(width, stride=1, name=f"stage{stage}_conv{index}")(x)
                x = x + jax.nn.gelu(self._norm(f"stage{stage}_conv{index}_norm")(y))
            maps.append(x)
        pooled = x.mean(axis=(1, 2), dtype=jnp.float32)
        return nn.LayerNorm(name="norm")(pooled), maps

    def _conv(self, width: int, stride: int, name: str) -> nn.Conv:
        return nn.Conv(width, (3, 3), strides=stride, use_bias=False, dtype=self.dtype, name=name)

    def _norm(self, name: str) -> nn.GroupNorm:
        return nn.GroupNorm(num_groups=8, dtype=self.dtype, name=name)
