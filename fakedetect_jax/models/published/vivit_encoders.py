"""The four ways in which ViViT (Arnab et al., ICCV 2021) lets the tokens of a clip attend to each other.

Every encoder sees the tokens by time step and place [b, steps, places, d] and which steps are valid. It returns the
feature of the clip [b, d] and one for each step [b, steps, d], both normed and in float32. No other step attends to an
invalid one. Blocks are laid out as in the authors' release: pre-norm, epsilon 1e-6, GELU by tanh. Tokens are float32
between blocks, whatever the compute dtype.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.models.attention import Block, TransformerBlock, dot_product_attention
from fakedetect_jax.models.layers import drop_path_rates, masked_mean, normal


class _Encoder(nn.Module):
    """What all encoders can be told.

    Attributes:
        layers: number of blocks.
        heads: attention heads.
        mlp_ratio: width of each block's MLP over that of the tokens.
        dropout: rate on the tokens and within the blocks.
        drop_path: rate of the last block; rates rise linearly from 0 at the first.
        dtype: compute dtype.
    """

    layers: int
    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: str = "float32"


class TokenEncoder(_Encoder):
    """The encoder of an image ViT: a class token before the tokens, learned positions, pre-norm blocks, a last norm."""

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "n s d"], valid: Bool[Array, "n s"] | None, *, train: bool = False
    ) -> tuple[Float[Array, "n d"], Float[Array, "n s d"]]:
        """Return the class token, and the tokens, in float32."""
        n, s, dim = tokens.shape
        class_token = self.param("class_token", nn.initializers.zeros, (1, 1, dim))
        position = self.param("position", normal, (1 + s, dim))
        x = jnp.concatenate([jnp.broadcast_to(class_token, (n, 1, dim)), tokens], axis=1) + position[None]
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        mask = None
        if valid is not None:
            mask = jnp.concatenate([jnp.ones((n, 1), bool), valid], axis=1)[:, None, None]
        for index, rate in enumerate(drop_path_rates(self.drop_path, self.layers)):
            block = TransformerBlock(
                self.heads, self.mlp_ratio, self.dropout, self.dtype, rate, name=f"block{index}"
            )
            x = block(x, mask, train=train)
        x = nn.LayerNorm(name="norm")(x)
        # With a symbolic batch, indexing would be exported as gathers.
        first = jax.lax.index_in_dim(x, 0, axis=1, keepdims=False)
        return first, jax.lax.slice_in_dim(x, 1, None, axis=1)


class SpacetimeEncoder(_Encoder):
    """Model 1: every token attends to every other. A step's feature is the mean of its tokens."""

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b d"], Float[Array, "b t d"]]:
        """Return the class token and the means over places."""
        b, t, s, dim = tokens.shape
        everywhere = jnp.broadcast_to(valid[..., None], (b, t, s)).reshape((b, t * s))
        encoder = TokenEncoder(
            self.layers,
            self.heads,
            self.mlp_ratio,
            self.dropout,
            self.drop_path,
            self.dtype,
            name="encoder",
        )
        clip, x = encoder(tokens.reshape((b, t * s, dim)), everywhere, train=train)
        return clip, x.reshape((b, t, s, dim)).mean(axis=2)


class FactorisedEncoder(_Encoder):
    """Model 2: an encoder over the places of each step, then one over the class tokens of the steps.

    Attributes:
        temporal_layers: number of blocks of the second encoder; `layers` is that of the first.
    """

    temporal_layers: int = 4

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b d"], Float[Array, "b t d"]]:
        """Return the class token and the steps of the temporal encoder."""
        t, s, dim = tokens.shape[1:]
        rest = (self.heads, self.mlp_ratio, self.dropout, self.drop_path, self.dtype)
        spatial = TokenEncoder(self.layers, *rest, name="spatial")
        steps, _ = spatial(tokens.reshape((-1, s, dim)), None, train=train)
        steps = steps.reshape((-1, t, dim))
        return TokenEncoder(self.temporal_layers, *rest, name="temporal")(steps, valid, train=train)


class FactorisedSelfAttentionBlock(Block):
    """Attention among the places of a step, then among the steps at a place, then the MLP."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> Float[Array, "b t s d"]:
        """Return the tokens after three residuals."""
        x = x + self.attention_half(x, None, train=train, name="space_attention")
        # As in the paper, a block starts as that of an image model, so that it can be initialised with one. Zeros in
        # the last matrix do that; zeros in all matrices would stop every gradient.
        over_time = self.attention_half(
            x.swapaxes(1, 2),
            valid[:, None, None, None],
            train=train,
            name="time_attention",
            out_init=nn.initializers.zeros,
        )
        x = x + over_time.swapaxes(1, 2)
        return x + self.mlp_half(x, train=train)


class FactorisedHeads(nn.Module):
    """Attention whose first half of heads looks along time at a place, and the second half over places in a step.

    Attributes:
        heads: attention heads, an even number.
        dropout: rate on the attention weights.
        dtype: compute dtype.
    """

    heads: int
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> Float[Array, "b t s d"]:
        """Return the mixture of all heads."""
        dim = x.shape[-1]
        in_time, in_space = [], []
        for name in ("query", "key", "value"):
            part = nn.DenseGeneral((self.heads, dim // self.heads), dtype=self.dtype, name=name)(x)
            first, second = jnp.split(part, 2, axis=-2)
            in_time.append(first.swapaxes(1, 2))
            in_space.append(second)
        over_time = self._attend(*in_time, mask=valid[:, None, None, None], train=train).swapaxes(1, 2)
        over_space = self._attend(*in_space, mask=None, train=train)
        x = jnp.concatenate([over_time, over_space], axis=-2)
        return nn.DenseGeneral(dim, axis=(-2, -1), dtype=self.dtype, name="out")(x)

    def _attend(self, query: Array, key: Array, value: Array, *, mask: Array | None, train: bool) -> Array:
        return dot_product_attention(
            query,
            key,
            value,
            mask=mask,
            dropout_rng=self.make_rng("dropout") if train and self.dropout else None,
            dropout_rate=self.dropout,
            deterministic=not train,
        )


class FactorisedDotProductBlock(Block):
    """A block as in an image ViT in which half of the heads look along time and half over space."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> Float[Array, "b t s d"]:
        """Return the tokens after two residuals."""
        y = nn.LayerNorm(dtype=self.dtype, name="attention_norm")(x)
        y = FactorisedHeads(self.heads, self.dropout, self.dtype, name="attention")(y, valid, train=train)
        x = x + self.dropped(y, train=train, name="attention")
        return x + self.mlp_half(x, train=train)


class _BlockwiseEncoder(_Encoder):
    """Positions in space and time, blocks that keep the two apart, a last norm, and no class token, as published.

    The feature of a step is the mean over its places, that of the clip the mean over its valid steps.
    """

    block = FactorisedSelfAttentionBlock

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b d"], Float[Array, "b t d"]]:
        """Return the mean over the valid steps, and the mean of each step."""
        position = self.param("position", normal, tokens.shape[1:])
        x = nn.Dropout(self.dropout, deterministic=not train)(tokens + position[None])
        for index, rate in enumerate(drop_path_rates(self.drop_path, self.layers)):
            block = self.block(
                self.heads, self.mlp_ratio, self.dropout, self.dtype, rate, name=f"block{index}"
            )
            x = block(x, valid, train=train)
        steps = nn.LayerNorm(name="norm")(x).mean(axis=2)
        return masked_mean(steps, valid), steps


class FactorisedSelfAttentionEncoder(_BlockwiseEncoder):
    """Model 3: every block attends over space, then over time."""

    block = FactorisedSelfAttentionBlock


class FactorisedDotProductEncoder(_BlockwiseEncoder):
    """Model 4: in every block half of the heads attend over time, half over space."""

    block = FactorisedDotProductBlock


ENCODERS: dict[str, type[nn.Module]] = {
    "spacetime": SpacetimeEncoder,
    "factorised_encoder": FactorisedEncoder,
    "factorised_self_attention": FactorisedSelfAttentionEncoder,
    "factorised_dot_product": FactorisedDotProductEncoder,
}
