"""Fusions join the features that several branches found in an image.

Every fusion is called as `fusion(features, maps, *, train=False)`:

- `features` has one array [n, d_i] for each branch.
- `maps` has one list for each branch: the maps [n, h_s, w_s, c_s] of its stages from fine to coarse, empty for a branch
  without maps.

It returns [n, d] in float32. A fusion that needs maps or several branches refuses a call without them.
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
