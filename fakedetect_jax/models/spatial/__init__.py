"""Backbones: normalised images [n, h, w, 3] to pooled features [n, d] and maps of every stage, from fine to coarse."""

import flax.linen as nn

from fakedetect_jax.models.spatial.convnext import ConvNeXt
from fakedetect_jax.models.spatial.convnext_v2 import ConvNeXtV2
from fakedetect_jax.models.spatial.efficientnet import EfficientNet
from fakedetect_jax.models.spatial.resnet import ResNet
from fakedetect_jax.models.spatial.xception import Xception

# name: the backbone; all but Xception come in variants (option `variant`)
SPATIAL: dict[str, type[nn.Module]] = {
    "convnext": ConvNeXt,
    "convnext_v2": ConvNeXtV2,
    "efficientnet": EfficientNet,
    "resnet": ResNet,
    "xception": Xception,
}
