"""A sum of the branches' features, each weighted by a gate that sees the image.

After the gated multimodal unit (Arevalo, Solorio, Montes-y-Gómez and González, "Gated Multimodal Units for Information
Fusion", ICLR workshops 2017), whose gates also see all branches. Here a branch has a single gate, which tells how much
the branch counted for an image.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.models.fusion.stages import check_branches
from fakedetect_jax.models.options import check_dtype, check_known, check_positive

GATES = ("softmax", "sigmoid")


class GatedFusion(nn.Module):
    """The sum over branches of their features, projected to `dim` and normed, times their gates.

    Attributes:
        dim: width of the projections and of the result.
        gate: 'softmax', so that gates add up to one and branches compete; or 'sigmoid', so that each gate is between
            0 and 1.
        dtype: compute dtype of the projections, 'float32' or 'bfloat16'. Gates and result are float32.
    """

    dim: int = 256
    gate: str = "softmax"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_positive("gated", dim=self.dim)
        check_known("gated", GATES, gate=self.gate)
        check_dtype("gated", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        features: Sequence[Float[Array, "n _"]],
        maps: Sequence[Sequence[Array]] = (),
        *,
        train: bool = False,
    ) -> Float[Array, "n {self.dim}"]:
        """Return the gated sum in float32; maps are ignored.

        Raises:
            FakedetectError: there is a single branch.
        """
        check_branches("gated", len(features))
        projected = []
        for index, vector in enumerate(features):
            x = nn.Dense(self.dim, dtype=self.dtype, name=f"project{index}")(vector)
            projected.append(nn.LayerNorm(name=f"norm{index}")(x.astype(jnp.float32)))
        score = nn.Dense(len(projected), name="gate")(jnp.concatenate(projected, axis=-1))
        gates = jax.nn.softmax(score) if self.gate == "softmax" else jax.nn.sigmoid(score)
        return sum(
            (lax.slice_in_dim(gates, i, i + 1, axis=1) * x for i, x in enumerate(projected)),
            start=jnp.zeros_like(projected[0]),
        )
