"""Spectral branch: learnable filters on the spectrum of a frame, then a small conv net on what passes.

Forgeries betray themselves in high-frequency residuals: resampling, blending and re-encoding change them although the
picture looks the same. Learnable complex weights on the half spectrum come from M2TR (Wang et al., ICMR 2022) and GFNet
(Rao et al., NeurIPS 2021), fixed bands as a starting point from F3-Net (Qian et al., ECCV 2020).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.models.conv_stages import ConvStages, check_stages
from fakedetect_jax.models.frequency.transforms import complex_product, irfft2, multiplicity, rfft2
from fakedetect_jax.models.layers import normal
from fakedetect_jax.models.options import check_dtype, check_positive


def high_passes(height: int, width: int, filters: int) -> Float[np.ndarray, "{filters} k {height}"]:
    """Return the responses of Gaussian high-passes on the half spectrum of k = width // 2 + 1 columns.

    The filters are half open at 1/2, 1/4, 1/8, ... of the Nyquist frequency. Each is scaled to give unit variance
    for a natural image of unit variance, whose power falls as 1 / frequency^2.
    """
    radius = np.hypot(np.fft.rfftfreq(width)[:, None], np.fft.fftfreq(height)[None]) / 0.5
    power = multiplicity(width) * np.where(radius > 0, 1 / np.maximum(radius, 1e-9) ** 2, 0)
    bank = []
    for index in range(filters):
        response = 1 - np.exp2(-((radius / 0.5 ** (index + 1)) ** 2))
        bank.append(response * np.sqrt(power.sum() / (power * response**2).sum()))
    return np.stack(bank).astype(np.float32)


class SpectralFilter(nn.Module):
    """Learnable high-pass filters, each a complex gain per frequency and colour channel.

    The response is base x (1 + gain), where the gain starts as small noise and the base is `high_passes`. Weight decay
    pulls a filter towards its base, and it stays closed at low frequencies, where pictures are a thousand times
    stronger. The size of the frames given to `init` fixes the size of the filters.

    Attributes:
        filters: number of filters.
    """

    filters: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w {self.filters}*c"]:
        """Return the filtered frames in float32. Filtering is circular: opposite edges touch."""
        n, h, w, c = x.shape
        base = high_passes(h, w, self.filters)[:, None, ..., None]
        gain = self.param("gain", normal, (self.filters, c, w // 2 + 1, h, 2))
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
        dtype: compute dtype of the conv net, 'float32' or 'bfloat16'. The spectrum is always float32.
    """

    widths: Sequence[int] = (24, 48, 96)
    depth: int = 1
    filters: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_stages("spectral", self.widths)
        check_positive("spectral", filters=self.filters)
        check_dtype("spectral", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        x = jnp.concatenate([images, SpectralFilter(self.filters, name="filter")(images)], axis=-1)
        return ConvStages(self.widths, self.depth, dtype=self.dtype, name="stages")(x)
