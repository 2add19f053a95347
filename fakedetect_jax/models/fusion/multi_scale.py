"""One pyramid of the maps of all stages of all branches, pooled over the scales that matter.

The way from coarse to fine is that of a feature pyramid (Lin, Dollár, Girshick, He, Hariharan and Belongie, "Feature
Pyramid Networks for Object Detection", CVPR 2017). The weights of the scales come from attention with one learned
query, as in Yang et al., "Hierarchical Attention Networks for Document Classification", NAACL 2016.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.fusion.stages import beside, check_stage, stage_map
from fakedetect_jax.models.options import check_dtype, check_positive


class MultiScaleFusion(nn.Module):
    """Projected maps added up from coarse to fine, each level convolved and pooled, then a weighted mean over levels.

    Maps of the same size share a level, whatever their branch. The pooled features of branches with maps are ignored;
    those of branches without maps go beside the result.

    Attributes:
        dim: channels of the pyramid and width of the result.
        stages: numbers of the maps to read of each branch, 0 for its finest, -1 for its coarsest; None for all.
        dtype: compute dtype, 'float32' or 'bfloat16'. The result is float32.
    """

    dim: int = 64
    stages: Sequence[int] | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_positive("multi_scale", dim=self.dim)
        if self.stages is not None and not self.stages:
            raise FakedetectError(
                f"multi_scale stages={self.stages!r} must be None, for all, or name at least one"
            )
        for stage in self.stages or ():
            check_stage("multi_scale", "stages", stage)
        check_dtype("multi_scale", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        features: Sequence[Float[Array, "n _"]],
        maps: Sequence[Sequence[Float[Array, "n _ _ _"]]] = (),
        *,
        train: bool = False,
    ) -> Float[Array, "n d"]:
        """Return [n, dim + widths of the branches without maps] in float32.

        Raises:
            FakedetectError: no branch has maps, or one lacks a map that `stages` names.
        """
        levels: dict[tuple[int, int], Array] = {}
        for branch, own in enumerate(maps):
            for stage, chosen in self._chosen(own, branch).items():
                x = nn.Dense(self.dim, dtype=self.dtype, name=f"branch{branch}_stage{stage}")(chosen)
                x = x.astype(jnp.float32)
                size = x.shape[1], x.shape[2]
                levels[size] = levels[size] + x if size in levels else x
        if not levels:
            raise FakedetectError(
                "fusion 'multi_scale' needs a branch with maps, got none: take fusion 'concat'"
            )
        x, pooled = None, []
        for index, size in enumerate(sorted(levels)):
            level = levels[size]
            x = level if x is None else level + jax.image.resize(x, level.shape, "linear")
            smooth = nn.Conv(self.dim, (3, 3), dtype=self.dtype, name=f"smooth{index}")(x)
            pooled.append(jax.nn.gelu(smooth).mean(axis=(1, 2), dtype=jnp.float32))
        scales = jnp.stack(pooled, axis=1)
        hidden = jnp.tanh(nn.Dense(self.dim, name="attention_hidden")(scales))
        weights = jax.nn.softmax(nn.Dense(1, use_bias=False, name="attention")(hidden), axis=1)
        joined = nn.LayerNorm(name="norm")((weights * scales).sum(axis=1))
        without = [vector for index, vector in enumerate(features) if index >= len(maps) or not maps[index]]
        return beside(joined, without)

    def _chosen(self, maps: Sequence[Array], branch: int) -> dict[int, Array]:
        """Return the maps to read by their number from the finest."""
        if self.stages is None or not maps:
            return dict(enumerate(maps))
        chosen = {stage % len(maps): stage_map("multi_scale", maps, stage, branch) for stage in self.stages}
        return dict(sorted(chosen.items()))
