"""A dilated temporal convolution network (TCN) over the features of a clip's frames.

After Bai, Kolter and Koltun, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence
Modeling", arXiv 1803.01271, 2018. Residual blocks have two dilated, weight-normed convolutions, and the dilation
doubles from block to block. The layers are laid out as in the authors' TemporalConvNet.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.layers import masked_mean
from fakedetect_jax.models.options import check_dtype, check_layers, check_positive, check_rate


class WeightNormConv(nn.Module):
    """Dilated convolution over time with weight norm (Salimans and Kingma, NeurIPS 2016).

    The kernel is scaled to a learned norm for every output channel. A causal convolution sees a frame and the ones
    before it, any other as many frames on both sides. Beyond the clip are zeros.
    """

    dim: int
    kernel: int
    dilation: int = 1
    causal: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t d"]) -> Float[Array, "b t dim"]:
        """Return as many frames as are given."""
        t, width = x.shape[1:]
        direction = self.param("kernel", nn.initializers.he_normal(), (self.kernel, width, self.dim))
        norm = jnp.sqrt((direction**2).sum(axis=(0, 1)))
        gain = self.param("gain", lambda _: norm)
        bias = self.param("bias", nn.initializers.zeros, (self.dim,)).astype(self.dtype)
        kernel = (direction * (gain / norm)[None, None]).astype(self.dtype)
        reach = (self.kernel - 1) * self.dilation
        before = reach if self.causal else reach // 2
        padded = jnp.pad(x.astype(self.dtype), ((0, 0), (before, reach - before), (0, 0)))
        # With a symbolic batch, indexing would be exported as gathers.
        starts = [tap * self.dilation for tap in range(self.kernel)]
        shifted = [jax.lax.slice_in_dim(padded, start, start + t, axis=1) for start in starts]
        stacked = jnp.concatenate(shifted, axis=-1)  # all taps in one matmul
        return stacked @ kernel.reshape((-1, self.dim)) + bias[None, None]


class TemporalBlock(nn.Module):
    """Two convolutions with ReLU and dropout, added to the input in float32, and a last ReLU."""

    dim: int
    kernel: int
    dilation: int
    causal: bool = True
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> Float[Array, "b t dim"]:
        """Return frames that are zero where they are invalid; the given ones must be too."""
        y = x
        for index in range(2):
            conv = WeightNormConv(
                self.dim, self.kernel, self.dilation, self.causal, self.dtype, name=f"conv{index}"
            )
            y = nn.Dropout(self.dropout, deterministic=not train)(jax.nn.relu(conv(y)))
            y = jnp.where(valid[..., None], y, 0)
        if x.shape[-1] != self.dim:
            x = nn.Dense(self.dim, dtype=self.dtype, name="shortcut")(x)
            x = jnp.where(valid[..., None], x, 0)
        return jax.nn.relu(x.astype(jnp.float32) + y)


class TemporalConvolution(nn.Module):
    """Frame features to a clip feature by dilated convolutions over time.

    An invalid frame is a zero between its neighbours in every layer. Unlike in a recurrent network, the other frames
    keep their distance.

    Attributes:
        dim: channels of every block.
        layers: number of blocks; block i has dilation 2^i. The clip feature sees 1 + 2 (kernel - 1) (2^layers - 1)
            frames.
        kernel: taps of each convolution; odd unless causal.
        causal: True, as published: a frame sees no later one, and the clip feature is the output at the last valid
            frame. False: frames see both sides, and the clip feature is the mean over the valid frames.
        dropout: rate after each convolution; draws from the rng stream 'dropout'.
        dtype: compute dtype. Parameters are float32.
    """

    dim: int = 128
    layers: int = 4
    kernel: int = 3
    causal: bool = True
    dropout: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_positive("conv", dim=self.dim, kernel=self.kernel)
        check_layers("conv", layers=self.layers)
        check_rate("conv", dropout=self.dropout)
        check_dtype("conv", dtype=self.dtype)
        if not self.causal and self.kernel % 2 == 0:
            raise FakedetectError(f"conv kernel={self.kernel} must be odd unless causal")
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "b t d"],
        valid: Bool[Array, "b t"],
        *,
        maps: Array | None = None,
        timestamps: Array | None = None,
        train: bool = False,
    ) -> Float[Array, "b dim"]:
        """Return the clip feature in float32; zero for a clip without valid frames."""
        x = jnp.where(valid[..., None], features, 0)
        for index in range(self.layers):
            block = TemporalBlock(
                self.dim,
                self.kernel,
                2**index,
                self.causal,
                self.dropout,
                self.dtype,
                name=f"block{index}",
            )
            x = block(x, valid, train=train)
        if not self.causal:
            return masked_mean(x, valid)
        still_to_come = jax.lax.cumsum(valid.astype(jnp.int32), axis=1, reverse=True)
        return jnp.where((valid & (still_to_come == 1))[..., None], x, 0).sum(axis=1)
