"""Attention from the map of one branch to the map of another: places of the picture query the spectrum.

As in the cross-modality fusion of M2TR (Wang, Wu, Ouyang, Han, Chen, Jiang and Li, "M2TR: Multi-modal Multi-scale
Transformers for Deepfake Detection", ICMR 2022), queries come from the colour branch, keys and values from the
frequency branch, and the result is added to the queried tokens. Here the attention has several heads, and positions,
because the maps may differ in size.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.attention import attend
from fakedetect_jax.models.fusion.stages import beside, check_branches, check_stage, stage_map
from fakedetect_jax.models.options import check_dtype, check_positive

_FINEST_PERIOD = 1 / 32


def place_codes(height: int, width: int, dim: int) -> Float[np.ndarray, "{height}*{width} {dim}"]:
    """Return sines and cosines of the centres of the cells, rows first, at dim / 4 frequencies each.

    Periods range from the whole picture to a 32nd of it, so maps of different sizes agree on where a place is.
    """
    period = _FINEST_PERIOD ** np.linspace(0, 1, dim // 4)
    codes = []
    for size in (height, width):
        angle = 2 * np.pi * (np.arange(size)[:, None] + 0.5) / size / period
        codes.append(np.concatenate([np.sin(angle), np.cos(angle)], axis=-1))
    rows, columns = codes
    rows, columns = np.broadcast_arrays(rows[:, None], columns[None])
    return np.concatenate([rows, columns], axis=-1).reshape((height * width, -1)).astype(np.float32)


class CrossAttentionFusion(nn.Module):
    """Tokens of the first branch's map attend to those of the second's; the mean of their sums is the result.

    The pooled features of these two branches are ignored. Those of further branches go beside the result.

    Attributes:
        dim: width of the tokens, a multiple of 4 and of `heads`.
        heads: attention heads.
        stage: number of the map, one for both branches or one for each; 0 is the finest, -1 the coarsest.
        dtype: compute dtype, 'float32' or 'bfloat16'. The result is float32.
    """

    dim: int = 256
    heads: int = 4
    stage: int | Sequence[int] = -1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_positive("cross_attention", dim=self.dim, heads=self.heads)
        if self.dim % 4 or self.dim % self.heads:
            raise FakedetectError(
                f"cross_attention dim={self.dim} must be a multiple of 4 and of heads={self.heads}"
            )
        if not isinstance(self.stage, int) and len(self.stage) != 2:
            raise FakedetectError(
                f"cross_attention stage={self.stage!r} must be one whole number, or one for each of two branches"
            )
        for stage in self._stages():
            check_stage("cross_attention", "stage", stage)
        check_dtype("cross_attention", dtype=self.dtype)
        super().__post_init__()

    def _stages(self) -> tuple[int, int]:
        one, other = (self.stage, self.stage) if isinstance(self.stage, int) else self.stage
        return one, other

    @nn.compact
    def __call__(
        self,
        features: Sequence[Float[Array, "n _"]],
        maps: Sequence[Sequence[Float[Array, "n _ _ _"]]] = (),
        *,
        train: bool = False,
    ) -> Float[Array, "n d"]:
        """Return [n, dim + widths of the third and further branches] in float32.

        Raises:
            FakedetectError: there is a single branch, or one of the first two lacks the map.
        """
        check_branches("cross_attention", len(features))
        tokens = []
        for index, (name, stage) in enumerate(zip(("queried", "asked"), self._stages(), strict=True)):
            own = maps[index] if index < len(maps) else ()
            n, h, w, c = (chosen := stage_map("cross_attention", own, stage, index)).shape
            x = nn.Dense(self.dim, dtype=self.dtype, name=f"embed_{name}")(chosen.reshape((n, h * w, c)))
            x = nn.LayerNorm(dtype=self.dtype, name=f"norm_{name}")(x)
            tokens.append(x + jnp.asarray(place_codes(h, w, self.dim), self.dtype)[None])
        colour, spectrum = tokens
        queries, keys, values = (
            nn.DenseGeneral((self.heads, self.dim // self.heads), dtype=self.dtype, name=name)(x)
            for name, x in (("query", colour), ("key", spectrum), ("value", spectrum))
        )
        found = attend(queries, keys, values)
        found = nn.DenseGeneral(self.dim, axis=(-2, -1), dtype=self.dtype, name="out")(found)
        pooled = (colour.astype(jnp.float32) + found).mean(axis=1)
        return beside(nn.LayerNorm(name="norm")(pooled), features[2:])
