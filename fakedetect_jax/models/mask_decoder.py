"""Where an image was blended: the maps of a backbone brought together, from coarse to fine, and read out.

A feature pyramid (Lin et al., "Feature pyramid networks for object detection", CVPR 2017) with one logit a cell.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError


class MaskDecoder(nn.Module):
    """Maps of an image's stages, from fine to coarse, to the logits of its blend mask.

    Attributes:
        width: channels of the pyramid.
        finest: which of the maps, 0 for the finest, gives the resolution of the mask: 1 is stride 8 in most
            backbones.
        dtype: compute dtype.
    """

    width: int = 64
    finest: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "n h_s w_s d_s"]]) -> Float[Array, "n h w"]:
        """Return float32 logits at the size of map `finest`; ValueError if there is no such map."""
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
