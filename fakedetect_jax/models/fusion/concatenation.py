"""The feature vectors of several branches side by side."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.models.options import check_dtype


class Concatenation(nn.Module):
    """The features of the branches side by side, without parameters.

    Attributes:
        dtype: accepted like in the other fusions; the result is always float32.
    """

    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_dtype("concat", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        features: Sequence[Float[Array, "n _"]],
        maps: Sequence[Sequence[Array]] = (),
        *,
        train: bool = False,
    ) -> Float[Array, "n d"]:
        """Return the features of all branches in float32; maps are ignored."""
        return jnp.concatenate([vector.astype(jnp.float32) for vector in features], axis=-1)
