"""Backbones on single images: normalised images to pooled features and the maps of every stage."""

import flax.linen as nn

from fakedetect_jax.models.spatial.convnext import ConvNeXt
from fakedetect_jax.models.spatial.convnext_v2 import ConvNeXtV2
from fakedetect_jax.models.spatial.efficientnet import EfficientNet
from fakedetect_jax.models.spatial.resnet import ResNet
from fakedetect_jax.models.spatial.xception import Xception

# name: class; all but Xception come in variants (option `variant`)
SPATIAL: dict[str, type[nn.Module]] = {
    "convnext": ConvNeXt,
    "convnext_v2": ConvNeXtV2,
    "efficientnet": EfficientNet,
    "resnet": ResNet,
    "xception": Xception,
}
