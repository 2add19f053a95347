"""Attention, always with a float32 softmax: over many places in chunks, and as pre-norm transformer blocks.

`attend` sends the queries through in chunks, so that the weights of all pairs of places are never held at once. The
backward pass computes the weights of a chunk anew: what Rabe and Staats ("Self-attention Does Not Need O(n^2) Memory",
2021) do, for queries alone.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from fakedetect_jax.models.layers import DropPath

CHUNK = 512

_lecun_normal = nn.initializers.lecun_normal()

# Masks, and dropout of the weights; holds the weights of all pairs.
dot_product_attention = functools.partial(nn.dot_product_attention, force_fp32_for_softmax=True)


def attend(
    queries: Float[Array, "n q heads d"],
    keys: Float[Array, "n k heads d"],
    values: Float[Array, "n k heads d"],
    *,
    chunk: int = CHUNK,
) -> Float[Array, "n q heads d"]:
    """Return the mean of the values, weighted by the softmax of query . key / sqrt(d).

    Args:
        queries, keys, values: tokens in any float dtype.
        chunk: the most queries that are compared with the keys at a time.
    """
    n, count, heads, width = queries.shape
    parts = -(-count // chunk)
    if parts == 1:
        return _attend(queries, keys, values)
    size = -(-count // parts)
    queries = jnp.pad(queries, ((0, 0), (0, parts * size - count), (0, 0), (0, 0)))
    queries = jnp.moveaxis(queries.reshape((n, parts, size, heads, width)), 1, 0)
    # A loop keeps common subexpressions apart by itself.
    of_chunk = jax.checkpoint(lambda part: _attend(part, keys, values), prevent_cse=False)
    out = jnp.moveaxis(lax.map(of_chunk, queries), 0, 1).reshape((n, parts * size, heads, width))
    return lax.slice_in_dim(out, 0, count, axis=1)


def _attend(
    queries: Float[Array, "n q heads d"],
    keys: Float[Array, "n k heads d"],
    values: Float[Array, "n k heads d"],
) -> Float[Array, "n q heads d"]:
    scores = jnp.einsum("nqhd,nkhd->nhqk", queries, keys, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(scores * queries.shape[-1] ** -0.5)
    return jnp.einsum("nhqk,nkhd->nqhd", weights.astype(values.dtype), values)


class Block(nn.Module):
    """The two halves of a pre-norm transformer block. A subclass adds them to the tokens in its compact method.

    Tokens are float32 between blocks, whatever the compute dtype.

    Attributes:
        heads: attention heads.
        mlp_ratio: width of the MLP over that of the tokens.
        dropout: rate within the block; draws from the rng stream 'dropout'.
        dtype: compute dtype.
        drop_path: rate at which a half is dropped; draws from the rng stream 'dropout'.
    """

    heads: int
    mlp_ratio: int = 4
    dropout: float = 0.0
    dtype: str = "float32"
    drop_path: float = 0.0

    def attention_half(
        self,
        x: Float[Array, "*batch n d"],
        mask: Bool[Array, "*batch_1 1 1 n"] | None,
        *,
        train: bool,
        name: str = "attention",
        out_init: Callable[..., Array] = _lecun_normal,
    ) -> Float[Array, "*batch n d"]:
        """Return the residual of self-attention to the tokens where `mask` is true, or to all without one."""
        y = nn.LayerNorm(dtype=self.dtype, name=f"{name}_norm")(x)
        y = nn.MultiHeadDotProductAttention(
            self.heads,
            dtype=self.dtype,
            dropout_rate=self.dropout,
            force_fp32_for_softmax=True,
            out_kernel_init=out_init,
            name=name,
        )(y, mask=mask, deterministic=not train)
        return self.dropped(y, train=train, name=name)

    def mlp_half(self, x: Float[Array, "*batch n d"], *, train: bool) -> Float[Array, "*batch n d"]:
        """Return the residual of the MLP."""
        width = x.shape[-1]
        y = nn.LayerNorm(dtype=self.dtype, name="mlp_norm")(x)
        y = nn.Dense(self.mlp_ratio * width, dtype=self.dtype, name="expand")(y)
        y = nn.Dense(width, dtype=self.dtype, name="project")(jax.nn.gelu(y))
        return self.dropped(y, train=train, name="mlp")

    def dropped(self, y: Float[Array, "*batch n d"], *, train: bool, name: str) -> Float[Array, "*batch n d"]:
        """Apply dropout and stochastic depth to the residual of a half."""
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        return DropPath(self.drop_path, name=f"{name}_drop_path")(y, train=train)


class TransformerBlock(Block):
    """Pre-norm self-attention and MLP, each added to its input, as in an image ViT."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "b n d"], mask: Bool[Array, "b 1 1 n"] | None, *, train: bool = False
    ) -> Float[Array, "b n d"]:
        """Attend to the tokens where `mask` is true, or to all without one."""
        x = x + self.attention_half(x, mask, train=train)
        return x + self.mlp_half(x, train=train)
