"""I3D from an image network, as it was begun when published: Inception-v1 with its kernels repeated over time.

torchvision's googlenet has the same layers, its 5x5 convolutions 3x3 as I3D's; it pads alike on all sides, I3D as
TensorFlow does, so that the start is near the image network's function and not the same.
"""

from __future__ import annotations

import numpy as np

from fakedetect_jax.models.published.i3d import MODULES
from fakedetect_jax.models.published.inflation import inflate
from fakedetect_jax.weights.naming import Family, Paths, Table, conv_norm, torch_layout


def torchvision(paths: Paths) -> Table:
    """Of torchvision's googlenet, whose modules begin with 'a' where I3D's begin with 'b'."""
    table: Table = {}
    for ours, theirs in (("conv1a", "conv1"), ("conv2b", "conv2"), ("conv2c", "conv3")):
        table |= conv_norm(ours, f"{theirs}.conv", f"{theirs}.bn")
    for name in MODULES:
        stage, letter = name[-2], chr(ord(name[-1]) - 1)
        for ours, theirs in (
            ("branch0", "branch1"),
            ("branch1_reduce", "branch2.0"),
            ("branch1", "branch2.1"),
            ("branch2_reduce", "branch3.0"),
            ("branch2", "branch3.1"),
            ("branch3", "branch4.1"),
        ):
            layer = f"inception{stage}{letter}.{theirs}"
            table |= conv_norm(f"{name}/{ours}", f"{layer}.conv", f"{layer}.bn")
    return table


def inflated(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Torch's image kernels as kernels over time; vectors as they are."""
    array = torch_layout(array, shape)
    return inflate(array, shape[0]) if array.ndim == 4 and len(shape) == 5 else array


TORCHVISION = Family(
    torchvision,
    layout=inflated,
    dropped=r"(fc|aux1|aux2)\..*",
    note="an image network's weights: its kernels are repeated over time, the paper's start for I3D",
)
