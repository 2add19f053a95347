"""The three blocks of M2TR (Wang, Wu, Ouyang, Han, Chen, Jiang and Li, "M2TR: Multi-modal Multi-scale Transformers for
Deepfake Detection", ICMR 2022) and the layer that they make.

Layers are those of the authors' code: convolutions with a bias before their batch norm, leaky ReLU of slope 0.2, and
spectral weights that start as small noise.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.attention import attend
from fakedetect_jax.models.frequency.spectral_filter import complex_product, irfft2, rfft2

# Head i cuts the map into this number of patches along height and along width.
CUTS = (1, 2, 4, 8)
LEAK = 0.2
EPSILON, MOMENTUM = 1e-5, 0.9

_small_normal = nn.initializers.normal(0.02)


class ConvNormLeaky(nn.Module):
    """Convolution with bias, batch norm and leaky ReLU.

    Attributes:
        kernel: side of the kernel.
        dilation: distance between its taps.
        dtype: compute dtype.
    """

    kernel: int
    dilation: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return a map of the same shape."""
        x = nn.Conv(
            x.shape[-1],
            (self.kernel, self.kernel),
            kernel_dilation=self.dilation,
            dtype=self.dtype,
            name="conv",
        )(x)
        norm = nn.BatchNorm(
            use_running_average=not train, momentum=MOMENTUM, epsilon=EPSILON, dtype=self.dtype, name="norm"
        )
        return jax.nn.leaky_relu(norm(x), LEAK)


class FeedForward(nn.Module):
    """A dilated and a plain 3x3 convolution."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return a map of the same shape."""
        x = ConvNormLeaky(3, 2, self.dtype, name="dilated")(x, train=train)
        return ConvNormLeaky(3, 1, self.dtype, name="plain")(x, train=train)


class PatchAttention(nn.Module):
    """Attention between the patches of a map, each head with patches of its own size, then a `FeedForward`.

    The channels are dealt out to the heads; a token is all of a head's channels at all places of a patch. The first
    head has a single patch and so passes its values on.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return the block's map."""
        _, h, w, c = x.shape
        if h % CUTS[-1] or w % CUTS[-1] or c % len(CUTS):
            raise FakedetectError(
                f"M2TR cuts maps into {CUTS[-1]} patches a side and {len(CUTS)} groups of channels, got {h} x {w} "
                f"places of {c} channels"
            )
        query, key, value = (nn.Dense(c, dtype=self.dtype, name=n)(x) for n in ("query", "key", "value"))
        width, heads = c // len(CUTS), []
        for head, cuts in enumerate(CUTS):
            own = [
                lax.slice_in_dim(part, head * width, (head + 1) * width, axis=3)
                for part in (query, key, value)
            ]
            heads.append(_between_patches(*own, cuts))
        y = ConvNormLeaky(3, dtype=self.dtype, name="output")(jnp.concatenate(heads, axis=3), train=train)
        x = x + y
        return x + FeedForward(self.dtype, name="feed_forward")(x, train=train)


def _between_patches(query: Array, key: Array, value: Array, cuts: int) -> Float[Array, "n h w d"]:
    n, h, w, d = query.shape
    query, key, value = (
        part.reshape((n, cuts, h // cuts, cuts, w // cuts, d)) for part in (query, key, value)
    )
    scores = jnp.einsum("nyixjd,nviujd->nyxvu", query, key, preferred_element_type=jnp.float32)
    scores = scores.reshape((n, cuts, cuts, cuts**2)) * (h * w * d / cuts**2) ** -0.5
    weights = jax.nn.softmax(scores).astype(value.dtype).reshape((n, cuts, cuts, cuts, cuts))
    return jnp.einsum("nyxvu,nviujd->nyixjd", weights, value).reshape((n, h, w, d))


class FrequencyBlock(nn.Module):
    """The map times a learnable complex weight for each frequency and channel, then a `FeedForward`.

    The size of the map given to `init` fixes that of the weights. The spectrum is always float32.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return the block's map."""
        _, h, w, c = x.shape
        weight = self.param("weight", _small_normal, (c, w // 2 + 1, h, 2))
        spectrum = rfft2(x.astype(jnp.float32))
        filtered = irfft2(complex_product(spectrum, weight[None]), width=w).astype(x.dtype)
        return x + FeedForward(self.dtype, name="feed_forward")(filtered, train=train)


class CrossModality(nn.Module):
    """Attention of all places of the picture's map to all of the frequency block's, added to the former.

    At 320 px that is 6400 x 6400 weights a frame, which are never held at once (`attend`).
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], frequency: Float[Array, "n h w c"], *, train: bool = False
    ) -> Float[Array, "n h w c"]:
        """Return the block's map."""
        n, h, w, c = x.shape
        query, key, value = (
            nn.Dense(c, dtype=self.dtype, name=name)(part).reshape((n, h * w, 1, c))
            for name, part in (("query", x), ("key", frequency), ("value", frequency))
        )
        found = attend(query, key, value).reshape((n, h, w, c))
        return x + ConvNormLeaky(1, dtype=self.dtype, name="output")(found, train=train)


class M2TRLayer(nn.Module):
    """Patch attention, the frequency block on its map, and the attention of the former's map to the latter's."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return a map of the same shape."""
        x = PatchAttention(self.dtype, name="patches")(x, train=train)
        frequency = FrequencyBlock(self.dtype, name="frequency")(x, train=train)
        return CrossModality(self.dtype, name="cross")(x, frequency, train=train)
