"""Xception in the naming of its PyTorch port, which timm and FaceForensics++ share."""

from __future__ import annotations

import re

from fakedetect_jax.weights.naming import Family, Paths, Table, conv_norm


def timm(paths: Paths) -> Table:
    """Map timm's (legacy_)xception.

    A block numbers its layers as ReLU, convolution, norm, and so on; the first block does not begin with a ReLU.
    """
    table = conv_norm("conv1", "conv1", "bn1") | conv_norm("conv2", "conv2", "bn2")
    for number in (3, 4):
        table |= _separable(f"conv{number}", f"conv{number}", f"bn{number}")
    for path in paths:
        found = re.match(r"block(\d+)/conv(\d+)/", path)
        if found is not None:
            block, conv = int(found[1]), int(found[2])
            place = 3 * conv + (0 if block == 1 else 1)
            rep = f"block{block}.rep"
            table |= _separable(f"block{block}/conv{conv}", f"{rep}.{place}", f"{rep}.{place + 1}")
            table |= conv_norm(f"block{block}/shortcut", f"block{block}.skip", f"block{block}.skipbn")
    return table


def _separable(ours: str, theirs: str, norm: str) -> Table:
    return {
        f"{ours}/depthwise_kernel": f"{theirs}.conv1.weight",
        **conv_norm(f"{ours}/pointwise", f"{theirs}.pointwise", norm),
    }


TIMM = Family(timm, dropped=r"(fc|last_linear)\..*")
