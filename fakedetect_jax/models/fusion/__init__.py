"""Ways to join what several branches found in an image.

Every fusion is called as `fusion(features, maps, *, train=False)`, where `features` has one [n, d_i] a branch and
`maps` one list a branch of its stages' maps [n, h_s, w_s, c_s], from fine to coarse, empty for a branch without; and
returns [n, d] in float32. One that needs maps or several branches says so.
"""

import flax.linen as nn

from fakedetect_jax.models.fusion.concatenation import Concatenation
from fakedetect_jax.models.fusion.cross_attention import CrossAttentionFusion
from fakedetect_jax.models.fusion.gated import GatedFusion
from fakedetect_jax.models.fusion.multi_scale import MultiScaleFusion

# name: the fusion
FUSIONS: dict[str, type[nn.Module]] = {
    "concat": Concatenation,
    "gated": GatedFusion,
    "cross_attention": CrossAttentionFusion,
    "multi_scale": MultiScaleFusion,
}
