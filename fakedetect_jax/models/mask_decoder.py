"""The decoder of blend masks: the maps of a backbone, joined from coarse to fine, to where a frame was blended.

A feature pyramid (Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017) with one logit a cell.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.options import check_dtype, check_positive


class MaskDecoder(nn.Module):
    """Maps of an image's stages, from fine to coarse, to the logits of its blend mask.

    Attributes:
        width: channels of the pyramid.
        finest: number of the map whose resolution the mask has, 0 for the finest; 1 is stride 8 in most backbones.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    width: int = 64
    finest: int = 1
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_positive("mask", width=self.width)
        check_dtype("mask", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "n _ _ _"]]) -> Float[Array, "n h w"]:
        """Return float32 logits in the resolution of map `finest`.

        Raises:
            FakedetectError: there is no such map.
        """
        if not 0 <= self.finest < len(maps):
            raise FakedetectError(
                f"mask finest={self.finest!r} must be one of the backbone's {len(maps)} maps, from 0"
            )
        x = None
        for level in reversed(range(self.finest, len(maps))):
            lateral = nn.Dense(self.width, dtype=self.dtype, name=f"lateral{level}")(maps[level])
            lateral = lateral.astype(jnp.float32)
            x = lateral if x is None else lateral + jax.image.resize(x, lateral.shape, "linear")
        x = jax.nn.gelu(nn.Conv(self.width, (3, 3), dtype=self.dtype, name="smooth")(x))
        return nn.Dense(1, name="logit")(x.astype(jnp.float32))[..., 0]
