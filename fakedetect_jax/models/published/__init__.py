"""Whole published models.

Each is called on a `Clip` and returns logits as `fakedetect_jax.models.create` describes. Unless a model says
otherwise, it replaces invalid frames by the nearest valid ones, each frame has the logit of its step in time, and a
clip scores the mean over its steps with a valid frame. Colours are normalised inside.
"""

import flax.linen as nn

from fakedetect_jax.models.published.c3d import C3D
from fakedetect_jax.models.published.cnn3d import CNN3D
from fakedetect_jax.models.published.ftcn import FTCN
from fakedetect_jax.models.published.i3d import I3D
from fakedetect_jax.models.published.m2tr import M2TR
from fakedetect_jax.models.published.mesonet import Meso4, MesoInception4
from fakedetect_jax.models.published.r2plus1d import R2Plus1D
from fakedetect_jax.models.published.resnext_lstm import ResNeXtLSTM
from fakedetect_jax.models.published.st_gcn import STGCN
from fakedetect_jax.models.published.vivit import ViViT

# name: the model
PUBLISHED: dict[str, type[nn.Module]] = {
    "meso4": Meso4,
    "meso_inception4": MesoInception4,
    "resnext_lstm": ResNeXtLSTM,
    "c3d": C3D,
    "i3d": I3D,
    "r2plus1d": R2Plus1D,
    "cnn3d": CNN3D,
    "ftcn": FTCN,
    "vivit": ViViT,
    "st_gcn": STGCN,
    "m2tr": M2TR,
}
