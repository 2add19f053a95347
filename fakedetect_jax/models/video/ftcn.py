"""FTCN (Zheng, Bao, Chen, Zeng and Wen, "Exploring Temporal Coherence for More General Video Face Forgery Detection",
ICCV 2021): a network that convolves over time alone, then a transformer over time.

Layers are those of the authors' code. The network is the I3D ResNet-50 of SlowFast up to its fourth stage, every
spatial kernel 1x1, and each spatial stride a maximum over 2x2 behind the batch norm. The transformer has a class token,
learned positions, no bias in queries, keys and values, and exact GELU.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import IMAGENET, Clip, fill_invalid, normalise
from fakedetect_jax.models.temporal.options import DTYPES, check_known, check_positive, check_rate
from fakedetect_jax.models.video.clips import check_size, check_widths, spread, valid_steps
from fakedetect_jax.models.video.conv3d import ConvNorm, spatial_mean
from fakedetect_jax.models.video.max_pool import max_pool

SMALLEST = 16
STEM_TAPS = 5
# Temporal taps of the blocks of each stage, in turn.
TAPS = ((3,), (3, 1), (3, 1))
EXPANSION = 4
TIME_STRIDE = 2
EPSILON = 1e-5

_normal = nn.initializers.normal(1.0)


class TemporalBottleneck(nn.Module):
    """A residual block whose first convolution has taps in time and whose others are 1x1x1."""

    width: int
    taps: int
    pool: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], *, train: bool = False) -> Float[Array, "b t h_p w_p d"]:
        """Return the map in the compute dtype, `pool` times smaller."""
        outputs = self.width * EXPANSION
        y = ConvNorm(
            self.width, (self.taps, 1, 1), padding=(self.taps // 2, 0, 0), dtype=self.dtype, name="time"
        )(x, train=train)
        y = ConvNorm(self.width, pool=self.pool, dtype=self.dtype, name="middle")(y, train=train)
        y = ConvNorm(outputs, relu=False, zero=True, dtype=self.dtype, name="expand")(y, train=train)
        if x.shape[-1] != outputs or self.pool > 1:
            shortcut = ConvNorm(outputs, relu=False, pool=self.pool, dtype=self.dtype, name="shortcut")
            x = shortcut(x, train=train)
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
        stem = ConvNorm(
            self.width,
            (STEM_TAPS, 1, 1),
            padding=(STEM_TAPS // 2, 0, 0),
            pool=2,
            dtype=self.dtype,
            pixels=True,
            name="stem",
        )
        x = stem(x, train=train)
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
    """Self-attention whose heads are of their own width, without bias before it."""

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
        y = nn.dot_product_attention(
            queries, keys, values, mask=mask[:, None, None], dtype=self.dtype, force_fp32_for_softmax=True
        )
        return nn.Dense(d, dtype=self.dtype, name="out")(y.reshape((b, n, inner)))


class TimeTransformer(nn.Module):
    """Steps in time to the class token behind the last block and a norm.

    Attributes:
        steps: number of learned positions.
        depth, heads, head_dim, mlp: blocks, attention heads, width of a head and of the MLP.
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
        """Return the clip's feature in float32; steps that are not valid do not count."""
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
    """The temporal network with its transformer; one logit for the clip, which each frame gets too.

    Attributes:
        depths, width: of `TemporalTrunk`.
        depth, heads, head_dim, mlp: of `TimeTransformer`.
        dropout: rate in the transformer.
        max_frames: the longest clip that the positions suffice for; 32 are published.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

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
        check_widths("FTCN", "depths", self.depths, count=len(TAPS))
        sizes = {name: getattr(self, name) for name in ("width", "depth", "heads", "head_dim", "mlp")}
        check_positive("FTCN", **sizes)
        if self.max_frames < TIME_STRIDE:
            raise FakedetectError(f"FTCN max_frames={self.max_frames!r} must be at least {TIME_STRIDE}")
        check_rate("FTCN", dropout=self.dropout)
        check_known("FTCN", "dtype", self.dtype, DTYPES)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Score clips of RGB frames in [0, 1].

        Returns the clip logit [b] and {'frame_logit': [b, t], the clip's for every frame, 'features': [b, d]}. Frames
        that are not valid are replaced by the nearest one that is, and the transformer passes over steps of such alone.
        """
        check_size("FTCN", clip.frames, SMALLEST)
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
        logit = nn.Dense(1, kernel_init=nn.initializers.normal(0.01), name="head")(features)
        return jnp.squeeze(logit, -1), {"frame_logit": spread(logit, t), "features": features}
