"""FTCN (Zheng, Bao, Chen, Zeng and Wen, "Exploring Temporal Coherence for More General Video Face Forgery Detection",
ICCV 2021): a network that convolves only over time, then a transformer over time.

Layers are those of the authors' code. The network is the I3D ResNet-50 of SlowFast up to its fourth stage with 1x1 for
every spatial kernel, and a maximum over 2x2 behind the batch norm for each spatial stride. The transformer has a class
token, learned positions, no bias in queries, keys and values, and exact GELU.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.attention import dot_product_attention
from fakedetect_jax.models.clip import IMAGENET, Clip, check_size, fill_invalid, normalise
from fakedetect_jax.models.layers import ConvNorm, head_normal, max_pool, spatial_mean
from fakedetect_jax.models.options import check_dtype, check_layers, check_positive, check_rate, check_widths
from fakedetect_jax.models.published.steps import spread, valid_steps

SMALLEST = 16
STEM_TAPS = 5
# Temporal taps of the blocks of each stage, which alternate.
TAPS = ((3,), (3, 1), (3, 1))
EXPANSION = 4
TIME_STRIDE = 2
EPSILON = 1e-5

_normal = nn.initializers.normal(1.0)


class TemporalBottleneck(nn.Module):
    """A residual block whose first convolution has taps in time; the others are 1x1x1.

    Attributes:
        width: channels inside the block; four times as many leave it.
        taps: taps in time of the first convolution.
        pool: side of the spatial windows whose maximum is taken.
        dtype: compute dtype.
    """

    width: int
    taps: int
    pool: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], *, train: bool = False) -> Float[Array, "b t h_p w_p d"]:
        """Return the map in the compute dtype, `pool` times smaller."""
        outputs = self.width * EXPANSION
        window = (1, self.pool, self.pool)
        y = ConvNorm(self.width, (self.taps, 1, 1), dtype=self.dtype, name="time")(x, train=train)
        y = ConvNorm(self.width, dtype=self.dtype, name="middle")(jax.nn.relu(y), train=train)
        y = jax.nn.relu(max_pool(y, window))
        y = ConvNorm(outputs, zero_scale=True, dtype=self.dtype, name="expand")(y, train=train)
        if x.shape[-1] != outputs or self.pool > 1:
            x = ConvNorm(outputs, dtype=self.dtype, name="shortcut")(x, train=train)
            x = max_pool(x, window)
        return jax.nn.relu(x + y)


class TemporalTrunk(nn.Module):
    """Normalised clips to the map of the last stage, at stride 16 in space and 2 in time.

    Attributes:
        depths: blocks of each of the three stages.
        width: channels of the stem; stage i's blocks have width x 2^i inside and four times that outside.
        dtype: compute dtype.
    """

    depths: Sequence[int] = (3, 4, 6)
    width: int = 64
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w 3"], *, train: bool = False) -> Float[Array, "b s h_s w_s d"]:
        """Return the map in the compute dtype."""
        stem = ConvNorm(self.width, (STEM_TAPS, 1, 1), dtype=self.dtype, pixels=True, name="stem")
        x = jax.nn.relu(max_pool(stem(x, train=train), (1, 2, 2)))
        x = max_pool(x, (1, 3, 3), strides=(1, 2, 2), padding=(0, 1, 1))
        for stage, (depth, taps) in enumerate(zip(self.depths, TAPS, strict=True)):
            for index in range(depth):
                block = TemporalBottleneck(
                    self.width * 2**stage,
                    taps[index % len(taps)],
                    2 if stage and index == 0 else 1,
                    self.dtype,
                    name=f"stage{stage}_block{index}",
                )
                x = block(x, train=train)
            if stage == 0:
                x = max_pool(x, (TIME_STRIDE, 1, 1))
        return x


class TimeAttention(nn.Module):
    """Self-attention whose heads have a width of their own; queries, keys and values have one kernel and no bias.

    Attributes:
        heads: attention heads.
        head_dim: width of a head.
        dtype: compute dtype.
    """

    heads: int
    head_dim: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b n d"], mask: Bool[Array, "b n"]) -> Float[Array, "b n d"]:
        """Attend to the tokens where `mask` is true."""
        b, n, d = x.shape
        inner = self.heads * self.head_dim
        joint = nn.Dense(3 * inner, use_bias=False, dtype=self.dtype, name="qkv")(x)
        queries, keys, values = (
            part.reshape((b, n, self.heads, self.head_dim)) for part in jnp.split(joint, 3, axis=-1)
        )
        y = dot_product_attention(queries, keys, values, mask=mask[:, None, None], dtype=self.dtype)
        return nn.Dense(d, dtype=self.dtype, name="out")(y.reshape((b, n, inner)))


class TimeTransformer(nn.Module):
    """Steps in time to the class token behind the last block and a norm.

    Attributes:
        steps: number of learned positions.
        depth: number of blocks.
        heads: attention heads.
        head_dim: width of a head.
        mlp: width of the MLP.
        dropout: rate on the tokens and behind attention and dense layers.
        dtype: compute dtype.
    """

    steps: int = 16
    depth: int = 1
    heads: int = 16
    head_dim: int = 64
    mlp: int = 2048
    dropout: float = 0.1
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b s d"], valid: Bool[Array, "b s"], *, train: bool = False
    ) -> Float[Array, "b d"]:
        """Return the clip's feature in float32; invalid steps do not count."""
        b, s, d = x.shape
        token = jnp.broadcast_to(self.param("class_token", _normal, (1, 1, d)), (b, 1, d))
        position = self.param("position", _normal, (self.steps + 1, d))
        x = jnp.concatenate([token, x.astype(jnp.float32)], axis=1) + position[None, : s + 1]
        x = self._drop(x, train)
        mask = jnp.concatenate([jnp.ones((b, 1), bool), valid], axis=1)
        for index in range(self.depth):
            y = nn.LayerNorm(epsilon=EPSILON, dtype=self.dtype, name=f"block{index}_attention_norm")(x)
            attention = TimeAttention(self.heads, self.head_dim, self.dtype, name=f"block{index}_attention")
            x = x + self._drop(attention(y, mask), train)
            y = nn.LayerNorm(epsilon=EPSILON, dtype=self.dtype, name=f"block{index}_mlp_norm")(x)
            y = nn.Dense(self.mlp, dtype=self.dtype, name=f"block{index}_expand")(y)
            y = self._drop(jax.nn.gelu(y, approximate=False), train)
            y = nn.Dense(d, dtype=self.dtype, name=f"block{index}_project")(y)
            x = x + self._drop(y, train)
        # Indexing would become a gather when the batch size is symbolic.
        token = jnp.squeeze(lax.slice_in_dim(x, 0, 1, axis=1), 1)
        return nn.LayerNorm(epsilon=EPSILON, name="norm")(token)

    def _drop(self, x: Array, train: bool) -> Array:
        return nn.Dropout(self.dropout, deterministic=not train)(x)


class FTCN(nn.Module):
    """The temporal network with its transformer. Each frame has the logit of the clip.

    The transformer skips steps without a valid frame.

    Attributes:
        depths, width: options of `TemporalTrunk`.
        depth, heads, head_dim, mlp: options of `TimeTransformer`.
        dropout: rate in the transformer.
        max_frames: length of the longest clip, which fixes the number of positions; 32 are published.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    # With 1x1 for every spatial kernel it sees no more of a single frame than its colours.
    motion_only = True

    depths: Sequence[int] = (3, 4, 6)
    width: int = 64
    depth: int = 1
    heads: int = 16
    head_dim: int = 64
    mlp: int = 2048
    dropout: float = 0.1
    max_frames: int = 32
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_widths("FTCN", len(TAPS), depths=self.depths)
        check_layers("FTCN", depths=self.depths)
        sizes = {name: getattr(self, name) for name in ("width", "depth", "heads", "head_dim", "mlp")}
        check_positive("FTCN", **sizes)
        if self.max_frames < TIME_STRIDE:
            raise FakedetectError(f"FTCN max_frames={self.max_frames!r} must be at least {TIME_STRIDE}")
        check_rate("FTCN", dropout=self.dropout)
        check_dtype("FTCN", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32.

        Raises:
            FakedetectError: the frames are too small, or the clip is too short or too long.
        """
        check_size("FTCN", clip, SMALLEST)
        t = clip.frames.shape[1]
        if not TIME_STRIDE <= t <= self.max_frames:
            raise FakedetectError(
                f"FTCN needs clips of {TIME_STRIDE} to max_frames={self.max_frames} frames, got {t}"
            )
        frames, valid = fill_invalid(clip)
        trunk = TemporalTrunk(self.depths, self.width, self.dtype, name="trunk")
        steps = spatial_mean(trunk(normalise(frames, IMAGENET), train=train))
        features = TimeTransformer(
            self.max_frames // TIME_STRIDE,
            self.depth,
            self.heads,
            self.head_dim,
            self.mlp,
            self.dropout,
            self.dtype,
            name="transformer",
        )(steps, valid_steps(valid, steps.shape[1]), train=train)
        logit = nn.Dense(1, kernel_init=head_normal, name="head")(features)
        return jnp.squeeze(logit, -1), {"frame_logit": spread(logit, t), "features": features}
