"""ResNet and ResNeXt: torchvision and timm, which share their names, and transformers."""

from __future__ import annotations

from fakedetect_jax.weights.naming import Family, Paths, Table, blocks, conv_norm

_PARTS = ("reduce", "spatial", "expand")


def torchvision(paths: Paths) -> Table:
    """Map resnet50, resnet101 and resnext50_32x4d in torchvision and timm."""
    table = conv_norm("stem", "conv1", "bn1")
    for stage, index in blocks(paths):
        ours, theirs = f"stage{stage}_block{index}", f"layer{stage + 1}.{index}"
        for number, part in enumerate(_PARTS, start=1):
            table |= conv_norm(f"{ours}/{part}", f"{theirs}.conv{number}", f"{theirs}.bn{number}")
        table |= conv_norm(f"{ours}/shortcut", f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    return table


def transformers(paths: Paths) -> Table:
    """Map transformers' ResNet, with or without a classifier."""

    def layer(ours: str, theirs: str) -> Table:
        return conv_norm(ours, f"{theirs}.convolution", f"{theirs}.normalization")

    table = layer("stem", "embedder.embedder")
    for stage, index in blocks(paths):
        ours, theirs = f"stage{stage}_block{index}", f"encoder.stages.{stage}.layers.{index}"
        for number, part in enumerate(_PARTS):
            table |= layer(f"{ours}/{part}", f"{theirs}.layer.{number}")
        table |= layer(f"{ours}/shortcut", f"{theirs}.shortcut")
    return table


TORCHVISION = Family(torchvision, dropped=r"fc\..*")
TRANSFORMERS = Family(transformers, dropped=r"classifier\..*")
