"""Attention between many places of pictures, without holding the weights of all pairs of them at once.

The queries go through in chunks, and the backward pass computes the weights of a chunk anew: what Rabe and Staats
("Self-attention Does Not Need O(n^2) Memory", 2021) do, in queries alone.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

CHUNK = 512


def attend(
    queries: Float[Array, "n q heads d"],
    keys: Float[Array, "n k heads d"],
    values: Float[Array, "n k heads d"],
    *,
    chunk: int = CHUNK,
) -> Float[Array, "n q heads d"]:
    """Mean of the values, weighted by the softmax of query . key / sqrt(d), which is always float32.

    No more than `chunk` queries are compared with the keys at a time.
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
