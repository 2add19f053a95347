"""The feature vectors of several branches side by side."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.models.temporal.options import DTYPES, check_known


class Concatenation(nn.Module):
    """Puts the branches' features side by side; it has no parameters.

    Attributes:
        dtype: taken for likeness with the other fusions; the result is always float32.
    """

    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_known("concat", "dtype", self.dtype, DTYPES)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        features: Sequence[Float[Array, "n d_i"]],
        maps: Sequence[Sequence[Array]] = (),
        *,
        train: bool = False,
    ) -> Float[Array, "n d"]:
        """Return the features of all branches in float32. `maps` are not used."""
        return jnp.concatenate([vector.astype(jnp.float32) for vector in features], axis=-1)
