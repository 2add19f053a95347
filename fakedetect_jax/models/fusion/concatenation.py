"""Ways to join the feature vectors of several branches into one, by name."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float


def concatenate(features: Sequence[Float[Array, "n d_i"]]) -> Float[Array, "n d"]:
    """Put the branches' features side by side."""
    return jnp.concatenate(features, axis=-1)


FUSIONS: dict[str, Callable[[Sequence[Array]], Array]] = {"concat": concatenate}
