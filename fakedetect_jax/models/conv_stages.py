"""The small conv net behind the frequency and motion branches: stages of a strided conv and residual convs."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError

GROUPS = 8


class ConvStages(nn.Module):
    """For each of `widths` a 3x3 conv of stride 2, then `depth` residual ones, with group norm and GELU behind each.

    Attributes:
        widths: channels of each stage, multiples of 8 (the norm has 8 groups).
        depth: residual 3x3 convs of a stage.
        first_stride: stride of the first stage.
        dtype: compute dtype.
    """

    widths: Sequence[int]
    depth: int = 1
    first_stride: int = 2
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"]
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, widths[-1]] in float32 and the map of each stage in the compute dtype."""
        maps = []
        for stage, width in enumerate(self.widths):
            stride = self.first_stride if stage == 0 else 2
            # The first conv sees its input in float32: faint differences are what tells a fake.
            wide = {"dtype": "float32", "precision": "high"} if stage == 0 else {}
            x = self._conv(width, strides=stride, name=f"stage{stage}", **wide)(x)
            x = jax.nn.gelu(self._norm(f"stage{stage}_norm")(x))
            for index in range(self.depth):
                y = self._conv(width, strides=1, name=f"stage{stage}_conv{index}")(x)
                x = x.astype(jnp.float32) + jax.nn.gelu(self._norm(f"stage{stage}_conv{index}_norm")(y))
            maps.append(x.astype(self.dtype))
        pooled = x.mean(axis=(1, 2), dtype=jnp.float32)
        return nn.LayerNorm(name="norm")(pooled), maps

    def _conv(self, width: int, **options: Any) -> nn.Conv:
        return nn.Conv(width, (3, 3), use_bias=False, **({"dtype": self.dtype} | options))

    def _norm(self, name: str) -> nn.GroupNorm:
        return nn.GroupNorm(num_groups=GROUPS, dtype=self.dtype, name=name)


def check_stages(owner: str, widths: Sequence[int]) -> None:
    """Raise unless `ConvStages` can have these widths."""
    if not widths or any(width < 1 or width % GROUPS for width in widths):
        raise FakedetectError(
            f"{owner} widths={widths!r} must be multiples of {GROUPS} (the norm has {GROUPS} groups)"
        )
