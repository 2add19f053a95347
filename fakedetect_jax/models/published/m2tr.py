"""M2TR (Wang, Wu, Ouyang, Han, Chen, Jiang and Li, "M2TR: Multi-modal Multi-scale Transformers for Deepfake Detection",
ICMR 2022): an EfficientNet with transformer layers on picture and spectrum between its second and third stage.

The composition is that of the authors' code: EfficientNet-B4 on 320 px, four layers on the map of 80 x 80 places and 32
channels, mean over the last map, dropout and a linear layer. In the layers, convolutions have a bias before their batch
norm, leaky ReLU has a slope of 0.2, and spectral weights start as small noise. The authors' network has a logit for
each of two classes and a decoder of the mask; this one has a single logit and no decoder. It is an image model: a clip
scores the mean of its valid frames' logits.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.attention import attend
from fakedetect_jax.models.clip import IMAGENET, Clip, fill_invalid, normalise
from fakedetect_jax.models.frequency.transforms import complex_product, irfft2, rfft2
from fakedetect_jax.models.layers import normal
from fakedetect_jax.models.options import check_dtype, check_layers, check_rate
from fakedetect_jax.models.published.steps import StepHead
from fakedetect_jax.models.spatial.efficientnet import EfficientNet

# The layers follow this stage of EfficientNet; its map has this stride.
STAGE, STRIDE = 1, 4
# Head i cuts the map into this number of patches along height and along width.
CUTS = (1, 2, 4, 8)
LEAK = 0.2
EPSILON, MOMENTUM = 1e-5, 0.9


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
    """A dilated and a plain 3x3 convolution with batch norm and leaky ReLU."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return a map of the same shape."""
        x = ConvNormLeaky(3, 2, self.dtype, name="dilated")(x, train=train)
        return ConvNormLeaky(3, 1, self.dtype, name="plain")(x, train=train)


class PatchAttention(nn.Module):
    """Attention between the patches of a map, each head with patches of its own size, then a `FeedForward`.

    Each head has a share of the channels, and a token is that share at all places of a patch. The first head has a
    single patch, so it passes its values on.
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
    """A learnable complex weight for each frequency and channel of the map's spectrum, then a `FeedForward`.

    The size of the map given to `init` fixes the size of the weights. The spectrum is always float32.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return the block's map."""
        _, h, w, c = x.shape
        weight = self.param("weight", normal, (c, w // 2 + 1, h, 2))
        spectrum = rfft2(x.astype(jnp.float32))
        filtered = irfft2(complex_product(spectrum, weight[None]), width=w).astype(x.dtype)
        return x + FeedForward(self.dtype, name="feed_forward")(filtered, train=train)


class CrossModality(nn.Module):
    """Attention from all places of the picture's map to all places of the frequency block's, added to the former.

    At 320 px these are 6400 x 6400 weights a frame, which `attend` never holds at once.
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
    """Patch attention, a frequency block on its map, and attention from the former's map to the latter's."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return a map of the same shape."""
        x = PatchAttention(self.dtype, name="patches")(x, train=train)
        frequency = FrequencyBlock(self.dtype, name="frequency")(x, train=train)
        return CrossModality(self.dtype, name="cross")(x, frequency, train=train)


class M2TR(nn.Module):
    """Frames through an EfficientNet with transformer layers in it; clips may have any length.

    The size of the frames given to `init`, a multiple of 32 (320 px in the paper), fixes the size of the spectral
    weights.

    Attributes:
        variant: option of `EfficientNet`; leave it None when `width` and `depth` are given.
        width, depth: options of `EfficientNet`, instead of a variant.
        padding_size: option of `EfficientNet`. The authors began with weights of efficientnet-pytorch, which pads as
            images of 380 px need it.
        layers: number of transformer layers.
        drop_path: stochastic depth of the EfficientNet.
        dropout: rate on the pooled features.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    variant: str | None = "b4"
    width: float | None = None
    depth: float | None = None
    padding_size: int | None = 380
    layers: int = 4
    drop_path: float = 0.2
    dropout: float = 0.5
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self._trunk(parent=None)  # checks its options
        check_layers("M2TR", layers=self.layers)
        check_rate("M2TR", dropout=self.dropout)
        check_dtype("M2TR", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32.

        Raises:
            FakedetectError: the size of the frames is not a multiple of 32.
        """
        b, t, h, w, c = clip.frames.shape
        step = STRIDE * CUTS[-1]
        if h % step or w % step:
            raise FakedetectError(f"M2TR needs frames of a multiple of {step} px a side, got {(h, w)}")
        frames, valid = fill_invalid(clip)
        images = normalise(frames, IMAGENET).reshape((b * t, h, w, c))
        layers = [M2TRLayer(self.dtype, name=f"layer{index}") for index in range(self.layers)]

        def transform(x: Array) -> Array:
            for layer in layers:
                x = layer(x, train=train)
            return x

        features, _ = self._trunk(name="trunk")(images, train=train, behind={STAGE: transform})
        return StepHead(self.dropout, name="head")(features.reshape((b, t, -1)), valid, train=train)

    def _trunk(self, **names: Any) -> EfficientNet:
        return EfficientNet(
            self.variant,
            self.width,
            self.depth,
            drop_path=self.drop_path,
            padding_size=self.padding_size,
            dtype=self.dtype,
            **names,
        )
