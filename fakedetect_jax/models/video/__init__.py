"""Whole published models, each under the interface of `fakedetect_jax.models.create`."""

import flax.linen as nn

from fakedetect_jax.models.video.c3d import C3D
from fakedetect_jax.models.video.cnn3d import CNN3D
from fakedetect_jax.models.video.ftcn import FTCN
from fakedetect_jax.models.video.i3d import I3D
from fakedetect_jax.models.video.m2tr import M2TR
from fakedetect_jax.models.video.mesonet import Meso4, MesoInception4
from fakedetect_jax.models.video.r2plus1d import R2Plus1D
from fakedetect_jax.models.video.resnext_lstm import ResNeXtLSTM
from fakedetect_jax.models.video.st_gcn import STGCN
from fakedetect_jax.models.video.vivit import ViViT

# name: the model
VIDEO: dict[str, type[nn.Module]] = {
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
