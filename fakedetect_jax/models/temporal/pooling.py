"""Mean and maximum of the features over the valid frames, without parameters."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.models.layers import masked_max, masked_mean
from fakedetect_jax.models.options import check_dtype


class _Pooling(nn.Module):
    """A statistic of each feature over the valid frames.

    Attributes:
        dtype: accepted like in the other parts; the result is always float32.
    """

    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_dtype("temporal pooling", dtype=self.dtype)
        super().__post_init__()

    def __call__(
        self,
        features: Float[Array, "b t d"],
        valid: Bool[Array, "b t"],
        *,
        maps: Array | None = None,
        timestamps: Array | None = None,
        train: bool = False,
    ) -> Float[Array, "b d"]:
        """Return the clip feature in float32."""
        return self.pool(features.astype(jnp.float32), valid)

    def pool(self, values: Float[Array, "b t d"], valid: Bool[Array, "b t"]) -> Float[Array, "b d"]:
        """Return the statistic."""
        raise NotImplementedError


class Mean(_Pooling):
    """Mean of each feature over the valid frames; zero for a clip without any."""

    def pool(self, values: Float[Array, "b t d"], valid: Bool[Array, "b t"]) -> Float[Array, "b d"]:
        """Return the mean."""
        return masked_mean(values, valid)


class Max(_Pooling):
    """Maximum of each feature over the valid frames; zero for a clip without any."""

    def pool(self, values: Float[Array, "b t d"], valid: Bool[Array, "b t"]) -> Float[Array, "b d"]:
        """Return the maximum."""
        return masked_max(values, valid)
