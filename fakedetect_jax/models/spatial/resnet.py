"""ResNet (He et al., "Deep Residual Learning for Image Recognition", CVPR 2016) and ResNeXt (Xie et al., "Aggregated
Residual Transformations for Deep Neural Networks", CVPR 2017).

The layout is that of torchvision's published weights ("v1.5"): the stride of a stage is on the 3x3 convolution of its
first block, not on the 1x1 before it. ResNeXt's 3x3 convolutions work on groups of channels.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.layers import ConvNorm
from fakedetect_jax.models.options import check_dtype, check_known, check_layers, check_positive

# name: (blocks per stage, groups of the 3x3 convolutions, channels of a group in the first stage)
VARIANTS: dict[str, tuple[tuple[int, ...], int, int]] = {
    "50": ((3, 4, 6, 3), 1, 64),
    "101": ((3, 4, 23, 3), 1, 64),
    "resnext50_32x4d": ((3, 4, 6, 3), 32, 4),
}


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, added to the input or, where shapes change, to a projection of it."""

    width: int
    features: int
    stride: int = 1
    groups: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w c"], *, train: bool = False
    ) -> Float[Array, "n h_s w_s features"]:
        """Return the block's map."""
        y = ConvNorm(self.width, dtype=self.dtype, name="reduce")(x, train=train)
        spatial = ConvNorm(self.width, 3, self.stride, self.groups, dtype=self.dtype, name="spatial")
        y = spatial(jax.nn.relu(y), train=train)
        y = ConvNorm(self.features, dtype=self.dtype, name="expand")(jax.nn.relu(y), train=train)
        if self.stride != 1 or x.shape[-1] != self.features:
            shortcut = ConvNorm(self.features, stride=self.stride, dtype=self.dtype, name="shortcut")
            x = shortcut(x, train=train)
        return jax.nn.relu(x + y)


class ResNet(nn.Module):
    """Images to pooled features and the maps of the four stages.

    Attributes:
        variant: a name in `VARIANTS`; leave it None when `depths` is given.
        depths: blocks of each stage, instead of a variant.
        groups: groups of the 3x3 convolutions (only with `depths`).
        group_width: channels of a group in the first stage, doubled in each later one (only with `depths`);
            None for `stem`.
        stem: channels of the stem; stage i has 4 x 2^i times as many.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and batch statistics are float32.
    """

    variant: str | None = None
    depths: Sequence[int] | None = None
    groups: int | None = None
    group_width: int | None = None
    stem: int = 64
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self.stages()
        check_positive("ResNet", stem=self.stem)
        check_dtype("ResNet", dtype=self.dtype)
        super().__post_init__()

    def stages(self) -> tuple[tuple[int, ...], int, int]:
        """Return blocks of each stage, groups and the width of a group; raise for what is unknown or contradictory."""
        if self.variant is not None:
            given = [name for name in ("depths", "groups", "group_width") if getattr(self, name) is not None]
            if given:
                raise FakedetectError(f"give variant={self.variant!r} or {' and '.join(given)}, not both")
            check_known("ResNet", VARIANTS, variant=self.variant)
            return VARIANTS[self.variant]
        if not self.depths:
            raise FakedetectError(
                f"depths={self.depths!r} must have one entry per stage, "
                f"or give a variant: {', '.join(VARIANTS)}"
            )
        check_layers("ResNet", depths=self.depths)
        return tuple(self.depths), self.groups or 1, self.group_width or self.stem

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return features [n, d] in float32 and the maps at strides 4, 8, 16, 32 in the compute dtype.

        The features are the mean of the last map; d is 2048 for every variant.
        """
        depths, groups, group_width = self.stages()
        x = ConvNorm(self.stem, 7, 2, dtype=self.dtype, pixels=True, name="stem")(images, train=train)
        x = nn.max_pool(jax.nn.relu(x), (3, 3), (2, 2), ((1, 1), (1, 1)))
        maps = []
        for stage, depth in enumerate(depths):
            for index in range(depth):
                block = Bottleneck(
                    groups * group_width * 2**stage,
                    4 * self.stem * 2**stage,
                    stride=2 if stage and not index else 1,
                    groups=groups,
                    dtype=self.dtype,
                    name=f"stage{stage}_block{index}",
                )
                x = block(x, train=train)
            maps.append(x)
        return x.mean(axis=(1, 2), dtype=jnp.float32), maps
