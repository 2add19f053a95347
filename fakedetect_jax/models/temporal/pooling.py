"""Means and maxima over the frames of a clip that count."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.models.temporal.options import DTYPES, check_known


def masked_mean(values: Float[Array, "b t *rest"], valid: Bool[Array, "b t"]) -> Float[Array, "b *rest"]:
    """Mean over the valid frames; zero for a clip without any."""
    mask = valid.reshape(valid.shape + (1,) * (values.ndim - 2))
    count = jnp.maximum(mask.sum(axis=1), 1)
    return jnp.where(mask, values, 0).sum(axis=1) / count


def masked_max(values: Float[Array, "b t *rest"], valid: Bool[Array, "b t"]) -> Float[Array, "b *rest"]:
    """Maximum over the valid frames; zero for a clip without any."""
    mask = valid.reshape(valid.shape + (1,) * (values.ndim - 2))
    largest = jnp.where(mask, values, -jnp.inf).max(axis=1)
    return jnp.where(mask.any(axis=1), largest, 0)


class _Pooling(nn.Module):
    """A statistic of each feature over the valid frames, without parameters.

    Attributes:
        dtype: taken for likeness with the other parts; the result is always float32.
    """

    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_known("temporal pooling", "dtype", self.dtype, DTYPES)
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
        """Return the clip feature in float32. `maps` and `timestamps` are not used."""
        return self.pool(features.astype(jnp.float32), valid)

    def pool(self, values: Float[Array, "b t d"], valid: Bool[Array, "b t"]) -> Float[Array, "b d"]:
        """The statistic."""
        raise NotImplementedError


class Mean(_Pooling):
    """Mean of each feature over the valid frames; zero for a clip without any."""

    def pool(self, values: Float[Array, "b t d"], valid: Bool[Array, "b t"]) -> Float[Array, "b d"]:
        """`masked_mean`."""
        return masked_mean(values, valid)


class Max(_Pooling):
    """Maximum of each feature over the valid frames; zero for a clip without any."""

    def pool(self, values: Float[Array, "b t d"], valid: Bool[Array, "b t"]) -> Float[Array, "b d"]:
        """`masked_max`."""
        return masked_max(values, valid)
