"""A transformer over the features of a clip's frames.

It is the temporal encoder of ViViT's factorised model (Arnab et al., ICCV 2021): frame tokens, a class token,
positions, pre-norm blocks.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.spatial.convnext import DropPath
from fakedetect_jax.models.temporal.options import DTYPES, check_known, check_positive, check_rate

POSITIONS = ("learned", "sinusoidal", "timestamps")
# Timestamps count in frames of this rate, at which they are then the positions of 'sinusoidal'.
FRAMES_PER_SECOND = 25.0
_LONGEST_PERIOD = 10_000.0

_normal = nn.initializers.normal(0.02)


def sinusoids(position: Float[Array, "*n"], dim: int) -> Float[Array, "*n {dim}"]:
    """Sines, then cosines, of a position at geometrically falling frequencies (Vaswani et al., NeurIPS 2017)."""
    frequency = _LONGEST_PERIOD ** -(jnp.arange(dim // 2, dtype=jnp.float32) / (dim // 2))
    angle = position[..., None] * frequency.reshape((1,) * position.ndim + (-1,))
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def elapsed(timestamps: Float[Array, "b t"], valid: Bool[Array, "b t"]) -> Float[Array, "b t"]:
    """Seconds since the earliest valid frame; zero for frames that are not valid."""
    start = jnp.where(valid, timestamps, jnp.inf).min(axis=1, keepdims=True)
    return jnp.where(valid, timestamps - start, 0).astype(jnp.float32)


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and MLP, each added to its input: float32 tokens, whatever the compute dtype."""

    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    dtype: str = "float32"
    drop_path: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n d"], mask: Bool[Array, "b 1 1 n"] | None, *, train: bool = False
    ) -> Float[Array, "b n d"]:
        """Attend to the tokens where `mask` is true, to all without one."""
        width = x.shape[-1]
        y = nn.LayerNorm(dtype=self.dtype, name="attention_norm")(x)
        y = nn.MultiHeadDotProductAttention(
            self.heads,
            dtype=self.dtype,
            dropout_rate=self.dropout,
            force_fp32_for_softmax=True,
            name="attention",
        )(y, mask=mask, deterministic=not train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        x = x + DropPath(self.drop_path, name="attention_drop_path")(y, train=train)
        y = nn.LayerNorm(dtype=self.dtype, name="mlp_norm")(x)
        y = nn.Dense(self.mlp_ratio * width, dtype=self.dtype, name="expand")(y)
        y = nn.Dense(width, dtype=self.dtype, name="project")(jax.nn.gelu(y))
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        return x + DropPath(self.drop_path, name="mlp_drop_path")(y, train=train)


class TemporalTransformer(nn.Module):
    """Frame features to one clip feature: a class token that attends to itself and all valid frames.

    Attributes:
        layers, heads, dim: size of the encoder; frame features are projected to `dim`, a multiple of `heads`.
        mlp_ratio: width of each block's MLP over `dim`.
        max_frames: number of learned positions, the longest clip that the module then takes.
        dropout: rate within the blocks; draws from the rng stream 'dropout'.
        positions: 'learned', one per place in the clip; 'sinusoidal', of the place, for clips of any length; or
            'timestamps', sinusoidal of the time since the first valid frame, for frames that are unevenly spaced.
        dtype: compute dtype. Parameters are float32.
    """

    layers: int = 2
    heads: int = 4
    dim: int = 128
    mlp_ratio: int = 4
    max_frames: int = 64
    dropout: float = 0.0
    positions: str = "learned"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_positive("temporal", heads=self.heads, dim=self.dim, max_frames=self.max_frames)
        check_rate("temporal", dropout=self.dropout)
        check_known("temporal", "positions", self.positions, POSITIONS)
        check_known("temporal", "dtype", self.dtype, DTYPES)
        if self.dim % self.heads:
            raise FakedetectError(f"temporal dim={self.dim} must be a multiple of heads={self.heads}")
        if self.positions != "learned" and self.dim % 2:
            raise FakedetectError(f"temporal dim={self.dim} must be even for positions={self.positions!r}")
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "b t d"],
        valid: Bool[Array, "b t"],
        *,
        maps: Array | None = None,
        timestamps: Float[Array, "b t"] | None = None,
        train: bool = False,
    ) -> Float[Array, "b dim"]:
        """Return the clip feature in float32; frames that are not valid never change it.

        `timestamps` in seconds are needed for positions='timestamps' and not used otherwise; `maps` never are.
        """
        b = features.shape[0]
        features = jnp.where(valid[..., None], features, 0)
        tokens = nn.Dense(self.dim, dtype=self.dtype, name="embed")(features)
        tokens = tokens.astype(jnp.float32) + self._position(valid, timestamps)
        class_token = self.param("class_token", _normal, (1, 1, self.dim))
        x = jnp.concatenate([jnp.broadcast_to(class_token, (b, 1, self.dim)), tokens], axis=1)
        mask = jnp.concatenate([jnp.ones((b, 1), bool), valid], axis=1)[:, None, None]
        for index in range(self.layers):
            block = TransformerBlock(
                self.heads, self.mlp_ratio, self.dropout, self.dtype, name=f"block{index}"
            )
            x = block(x, mask, train=train)
        # A slice in so many words: with a symbolic batch, indexing would be exported as a gather.
        x = jax.lax.index_in_dim(x, 0, axis=1, keepdims=False)
        return nn.LayerNorm(name="norm")(x)

    def _position(
        self, valid: Bool[Array, "b t"], timestamps: Float[Array, "b t"] | None
    ) -> Float[Array, "_ t dim"]:
        t = valid.shape[1]
        if self.positions == "learned":
            if t > self.max_frames:
                raise FakedetectError(
                    f"a clip of {t} frames is longer than max_frames={self.max_frames}: raise it, or sample fewer"
                )
            return self.param("position", _normal, (self.max_frames, self.dim))[None, :t]
        if self.positions == "sinusoidal":
            return sinusoids(jnp.arange(t, dtype=jnp.float32)[None], self.dim)
        if timestamps is None:
            raise FakedetectError("positions='timestamps' needs timestamps [b, t] in seconds, got None")
        return sinusoids(elapsed(timestamps, valid) * FRAMES_PER_SECOND, self.dim)
