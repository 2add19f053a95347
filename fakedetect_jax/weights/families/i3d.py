"""I3D from an image network, as published: Inception-v1 with its kernels repeated over time.

torchvision's googlenet has the same layers, with 3x3 convolutions for Inception's 5x5, like I3D. It pads all sides
equally while I3D pads as TensorFlow does, so I3D starts near the image network's function but not exactly there.
"""

from __future__ import annotations

import numpy as np

from fakedetect_jax.models.published.i3d import MODULES
from fakedetect_jax.models.published.inflation import inflate
from fakedetect_jax.weights.naming import Family, Paths, Table, conv_norm, torch_layout


def torchvision(paths: Paths) -> Table:
    """Map torchvision's googlenet, whose module letters begin with 'a' where I3D's begin with 'b'."""
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
    """Inflate torch's image kernels to kernels over time; leave vectors as they are."""
    array = torch_layout(array, shape)
    return inflate(array, shape[0]) if array.ndim == 4 and len(shape) == 5 else array


TORCHVISION = Family(
    torchvision,
    layout=inflated,
    dropped=r"(fc|aux1|aux2)\..*",
    note="an image network's weights, with kernels repeated over time, as the paper initialises I3D",
)
