"""A transformer over the features of a clip's frames.

It is the temporal encoder of ViViT's factorised model (Arnab et al., ICCV 2021): frame tokens, a class token,
learned positions, pre-norm blocks.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_normal = nn.initializers.normal(0.02)


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and MLP, each added to its input."""

    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n d"], mask: Bool[Array, "b 1 1 n"], *, train: bool = False
    ) -> Float[Array, "b n d"]:
        """Attend to the tokens where `mask` is true."""
        width = x.shape[-1]
        y = nn.LayerNorm(dtype=self.dtype, name="attention_norm")(x)
        y = nn.MultiHeadDotProductAttention(
            self.heads, dtype=self.dtype, dropout_rate=self.dropout, name="attention"
        )(y, mask=mask, deterministic=not train)
        x = x + nn.Dropout(self.dropout, deterministic=not train)(y)
        y = nn.LayerNorm(dtype=self.dtype, name="mlp_norm")(x)
        y = nn.Dense(self.mlp_ratio * width, dtype=self.dtype, name="expand")(y)
        y = nn.Dense(width, dtype=self.dtype, name="project")(jax.nn.gelu(y))
        return x + nn.Dropout(self.dropout, deterministic=not train)(y)


class TemporalTransformer(nn.Module):
    """Frame features to one clip feature: a class token that attends to itself and all valid frames.

    Attributes:
        layers, heads, dim: size of the encoder; frame features are projected to `dim`, a multiple of `heads`.
        mlp_ratio: width of each block's MLP over `dim`.
        max_frames: number of learned positions, the longest clip that the module takes.
        dropout: rate within the blocks; draws from the rng stream 'dropout'.
        dtype: compute dtype. Parameters are float32.
    """

    layers: int = 2
    heads: int = 4
    dim: int = 128
    mlp_ratio: int = 4
    max_frames: int = 64
    dropout: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise ValueError(f"temporal dim={self.dim} must be a multiple of heads={self.heads}")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, features: Float[Array, "b t d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> Float[Array, "b dim"]:
        """Return the clip feature in float32; frames that are not valid never change it."""
        b, t, _ = features.shape
        if t > self.max_frames:
            raise ValueError(
                f"a clip of {t} frames is longer than max_frames={self.max_frames}: raise it, or sample fewer"
            )
        features = jnp.where(valid[..., None], features, 0)
        tokens = nn.Dense(self.dim, dtype=self.dtype, name="embed")(features)
        tokens = tokens + self.param("position", _normal, (self.max_frames, self.dim))[None, :t].astype(
            self.dtype
        )
        class_token = self.param("class_token", _normal, (1, 1, self.dim)).astype(self.dtype)
        x = jnp.concatenate([jnp.broadcast_to(class_token, (b, 1, self.dim)), tokens], axis=1)
        mask = jnp.concatenate([jnp.ones((b, 1), bool), valid], axis=1)[:, None, None]
        for index in range(self.layers):
            block = TransformerBlock(
                self.heads, self.mlp_ratio, self.dropout, self.dtype, name=f"block{index}"
            )
            x = block(x, mask, train=train)
        return nn.LayerNorm(name="norm")(x[:, 0].astype(jnp.float32))
