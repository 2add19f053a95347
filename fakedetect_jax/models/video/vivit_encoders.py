"""The four ways in which ViViT (Arnab et al., ICCV 2021) lets the tokens of a clip attend to each other.

All take the tokens by time step and place [b, steps, places, d] and which steps are valid, and return the clip's
feature [b, d] and one per step [b, steps, d], both normed and in float32. A step that is not valid is no key of any
attention of others. Blocks are laid out as in the authors' release: pre-norm, epsilon 1e-6, GELU by tanh. Tokens
are float32 between them, whatever the compute dtype.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.models.spatial.convnext import DropPath
from fakedetect_jax.models.temporal.pooling import masked_mean
from fakedetect_jax.models.temporal.transformer import TransformerBlock

_normal = nn.initializers.normal(0.02)


def _rising(last: float, count: int) -> list[float]:
    return [last * index / max(count - 1, 1) for index in range(count)]


class TokenEncoder(nn.Module):
    """A class token before the tokens, learned positions, pre-norm blocks, a last norm: the encoder of an image ViT."""

    layers: int
    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "n s d"], valid: Bool[Array, "n s"] | None, *, train: bool = False
    ) -> tuple[Float[Array, "n d"], Float[Array, "n s d"]]:
        """Return the class token, and the tokens, in float32."""
        n, s, dim = tokens.shape
        class_token = self.param("class_token", nn.initializers.zeros, (1, 1, dim))
        position = self.param("position", _normal, (1 + s, dim))
        x = jnp.concatenate([jnp.broadcast_to(class_token, (n, 1, dim)), tokens], axis=1) + position[None]
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        mask = None
        if valid is not None:
            mask = jnp.concatenate([jnp.ones((n, 1), bool), valid], axis=1)[:, None, None]
        for index, rate in enumerate(_rising(self.drop_path, self.layers)):
            block = TransformerBlock(
                self.heads, self.mlp_ratio, self.dropout, self.dtype, rate, name=f"block{index}"
            )
            x = block(x, mask, train=train)
        x = nn.LayerNorm(name="norm")(x)
        # Slices in so many words: with a symbolic batch, indexing would be exported as gathers.
        first = jax.lax.index_in_dim(x, 0, axis=1, keepdims=False)
        return first, jax.lax.slice_in_dim(x, 1, None, axis=1)


class SpacetimeEncoder(nn.Module):
    """Model 1: every token attends to every other. A step's feature is the mean of its tokens."""

    layers: int
    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b d"], Float[Array, "b t d"]]:
        """Return the class token, and the means over places."""
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


class FactorisedEncoder(nn.Module):
    """Model 2: an encoder over the places of each step, then one over the steps' class tokens."""

    layers: int
    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: str = "float32"
    temporal_layers: int = 4

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b d"], Float[Array, "b t d"]]:
        """Return the temporal encoder's class token and its steps."""
        t, s, dim = tokens.shape[1:]
        rest = (self.heads, self.mlp_ratio, self.dropout, self.drop_path, self.dtype)
        spatial = TokenEncoder(self.layers, *rest, name="spatial")
        steps, _ = spatial(tokens.reshape((-1, s, dim)), None, train=train)
        steps = steps.reshape((-1, t, dim))
        return TokenEncoder(self.temporal_layers, *rest, name="temporal")(steps, valid, train=train)


class FactorisedSelfAttentionBlock(nn.Module):
    """Attention among the places of a step, then among the steps at a place, then the MLP."""

    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    dtype: str = "float32"
    drop_path: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> Float[Array, "b t s d"]:
        """Return the tokens after three residuals."""
        x = x + self._attend("space", x, None, nn.initializers.lecun_normal(), train)
        # The paper begins with a block that is an image model's, so that it can be initialised with one. Zeros
        # in the last matrix do that; in all, they would stop every gradient.
        over_time = x.swapaxes(1, 2)
        mask = valid[:, None, None, None]
        x = x + self._attend("time", over_time, mask, nn.initializers.zeros, train).swapaxes(1, 2)
        return _add_mlp(self, x, train)

    def _attend(
        self, axis: str, x: Array, mask: Array | None, out_init: Callable[..., Array], train: bool
    ) -> Array:
        y = nn.LayerNorm(dtype=self.dtype, name=f"{axis}_attention_norm")(x)
        attention = nn.MultiHeadDotProductAttention(
            self.heads,
            dtype=self.dtype,
            dropout_rate=self.dropout,
            force_fp32_for_softmax=True,
            out_kernel_init=out_init,
            name=f"{axis}_attention",
        )
        y = attention(y, mask=mask, deterministic=not train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        return DropPath(self.drop_path, name=f"{axis}_attention_drop_path")(y, train=train)


class FactorisedHeads(nn.Module):
    """Attention whose first half of heads looks along time at a place, the second half over places in a step."""

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
        return nn.dot_product_attention(
            query,
            key,
            value,
            mask=mask,
            dropout_rng=self.make_rng("dropout") if train and self.dropout else None,
            dropout_rate=self.dropout,
            deterministic=not train,
            force_fp32_for_softmax=True,
        )


class FactorisedDotProductBlock(nn.Module):
    """A block as in an image ViT, in which half of the heads look along time and half over space."""

    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    dtype: str = "float32"
    drop_path: float = 0.0

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> Float[Array, "b t s d"]:
        """Return the tokens after two residuals."""
        y = nn.LayerNorm(dtype=self.dtype, name="attention_norm")(x)
        y = FactorisedHeads(self.heads, self.dropout, self.dtype, name="attention")(y, valid, train=train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        x = x + DropPath(self.drop_path, name="attention_drop_path")(y, train=train)
        return _add_mlp(self, x, train)


def _add_mlp(block: FactorisedSelfAttentionBlock | FactorisedDotProductBlock, x: Array, train: bool) -> Array:
    """Add the second half of a block; called within that block, whose submodules it makes."""
    width = x.shape[-1]
    y = nn.LayerNorm(dtype=block.dtype, name="mlp_norm")(x)
    y = nn.Dense(block.mlp_ratio * width, dtype=block.dtype, name="expand")(y)
    y = nn.Dense(width, dtype=block.dtype, name="project")(jax.nn.gelu(y))
    y = nn.Dropout(block.dropout, deterministic=not train)(y)
    return x + DropPath(block.drop_path, name="mlp_drop_path")(y, train=train)


class _BlockwiseEncoder(nn.Module):
    """Positions in space and time, blocks that keep the two apart, a last norm; no class token, as published.

    The clip's feature is the mean of those of its valid steps, a step's that of its places.
    """

    layers: int
    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: str = "float32"

    block = FactorisedSelfAttentionBlock

    @nn.compact
    def __call__(
        self, tokens: Float[Array, "b t s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b d"], Float[Array, "b t d"]]:
        """Return means over all tokens that count, and over each step's."""
        position = self.param("position", _normal, tokens.shape[1:])
        x = nn.Dropout(self.dropout, deterministic=not train)(tokens + position[None])
        for index, rate in enumerate(_rising(self.drop_path, self.layers)):
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
