"""A transformer over the features of a clip's frames.

It is the temporal encoder of ViViT's factorised model (Arnab et al., ICCV 2021): frame tokens, a class token, positions
and pre-norm blocks.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.attention import TransformerBlock
from fakedetect_jax.models.layers import normal
from fakedetect_jax.models.options import check_dtype, check_known, check_layers, check_positive, check_rate

POSITIONS = ("learned", "sinusoidal", "timestamps")
# At this rate the positions of 'timestamps' are those of 'sinusoidal'.
FRAMES_PER_SECOND = 25.0
_LONGEST_PERIOD = 10_000.0


def sinusoids(position: Float[Array, "*n"], dim: int) -> Float[Array, "*n {dim}"]:
    """Return sines, then cosines, of positions at geometrically falling frequencies (Vaswani et al., NeurIPS 2017)."""
    frequency = _LONGEST_PERIOD ** -(jnp.arange(dim // 2, dtype=jnp.float32) / (dim // 2))
    angle = position[..., None] * frequency.reshape((1,) * position.ndim + (-1,))
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)


def elapsed(timestamps: Float[Array, "b t"], valid: Bool[Array, "b t"]) -> Float[Array, "b t"]:
    """Return seconds since the earliest valid frame; zero for invalid frames."""
    start = jnp.where(valid, timestamps, jnp.inf).min(axis=1, keepdims=True)
    return jnp.where(valid, timestamps - start, 0).astype(jnp.float32)


class TemporalTransformer(nn.Module):
    """Frame features to one clip feature: a class token that attends to itself and all valid frames.

    Attributes:
        layers: number of blocks.
        heads: attention heads.
        dim: width of the tokens, a multiple of `heads`; frame features are projected to it.
        mlp_ratio: width of each block's MLP over `dim`.
        max_frames: number of learned positions, and with them the length of the longest clip.
        dropout: rate within the blocks; draws from the rng stream 'dropout'.
        positions: 'learned', one for each place in the clip; 'sinusoidal', of the place, for clips of any length; or
            'timestamps', sinusoidal of the time since the first valid frame, for unevenly spaced frames.
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
        check_layers("temporal", layers=self.layers)
        check_rate("temporal", dropout=self.dropout)
        check_known("temporal", POSITIONS, positions=self.positions)
        check_dtype("temporal", dtype=self.dtype)
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
        """Return the clip feature in float32.

        Raises:
            FakedetectError: the clip is longer than `max_frames` learned positions, or there are no `timestamps` for
                positions='timestamps'.
        """
        b = features.shape[0]
        features = jnp.where(valid[..., None], features, 0)
        tokens = nn.Dense(self.dim, dtype=self.dtype, name="embed")(features)
        tokens = tokens.astype(jnp.float32) + self._position(valid, timestamps)
        class_token = self.param("class_token", normal, (1, 1, self.dim))
        x = jnp.concatenate([jnp.broadcast_to(class_token, (b, 1, self.dim)), tokens], axis=1)
        mask = jnp.concatenate([jnp.ones((b, 1), bool), valid], axis=1)[:, None, None]
        for index in range(self.layers):
            block = TransformerBlock(
                self.heads, self.mlp_ratio, self.dropout, self.dtype, name=f"block{index}"
            )
            x = block(x, mask, train=train)
        # With a symbolic batch, indexing would be exported as a gather.
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
            return self.param("position", normal, (self.max_frames, self.dim))[None, :t]
        if self.positions == "sinusoidal":
            return sinusoids(jnp.arange(t, dtype=jnp.float32)[None], self.dim)
        if timestamps is None:
            raise FakedetectError("positions='timestamps' needs timestamps [b, t] in seconds, got None")
        return sinusoids(elapsed(timestamps, valid) * FRAMES_PER_SECOND, self.dim)
