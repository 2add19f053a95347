"""ConvNeXt and ConvNeXt V2 in four namings: timm, torchvision, transformers, and the authors' own.

Their layers are the same, so one loop over our blocks serves all, with each naming's words.
"""

from __future__ import annotations

from fakedetect_jax.weights.naming import Family, Paths, Table, blocks

# Our layers of a block (after a slash, a leaf) to the foreign ones, for each naming.
_TIMM = {
    "depthwise_kernel": "conv_dw.weight",
    "depthwise_bias": "conv_dw.bias",
    "norm": "norm",
    "expand": "mlp.fc1",
    "response_norm": "mlp.grn",
    "project": "mlp.fc2",
    "layer_scale": "gamma",
}
_TORCHVISION = {
    "depthwise_kernel": "block.0.weight",
    "depthwise_bias": "block.0.bias",
    "norm": "block.2",
    "expand": "block.3",
    "project": "block.5",
    "layer_scale": "layer_scale",
}
_TRANSFORMERS = {
    "depthwise_kernel": "dwconv.weight",
    "depthwise_bias": "dwconv.bias",
    "norm": "layernorm",
    "expand": "pwconv1",
    "response_norm": "grn",
    "project": "pwconv2",
    "layer_scale": "layer_scale_parameter",
}
_AUTHORS = {
    "depthwise_kernel": "dwconv.weight",
    "depthwise_bias": "dwconv.bias",
    "norm": "norm",
    "expand": "pwconv1",
    "response_norm/scale": "grn.gamma",
    "response_norm/bias": "grn.beta",
    "project": "pwconv2",
    "layer_scale": "gamma",
}


def _table(paths: Paths, words: Table, block: str, downsample: str, others: Table) -> Table:
    """Fill the patterns `block` and `downsample`; {odd} and {even} count stages and downsamplings in one sequence."""
    table = dict(others)
    for stage, index in blocks(paths):
        theirs = block.format(stage=stage, odd=2 * stage + 1, index=index)
        table |= {f"stage{stage}_block{index}/{ours}": f"{theirs}.{word}" for ours, word in words.items()}
        if stage:
            theirs = downsample.format(stage=stage, even=2 * stage)
            table |= {f"downsample{stage}_norm": f"{theirs}.0", f"downsample{stage}": f"{theirs}.1"}
    return table


def timm(paths: Paths) -> Table:
    """Map timm's convnext_* and convnextv2_*."""
    others = {"stem": "stem.0", "stem_norm": "stem.1", "norm": "head.norm"}
    return _table(paths, _TIMM, "stages.{stage}.blocks.{index}", "stages.{stage}.downsample", others)


def torchvision(paths: Paths) -> Table:
    """Map torchvision's convnext_*."""
    others = {"stem": "features.0.0", "stem_norm": "features.0.1", "norm": "classifier.0"}
    return _table(paths, _TORCHVISION, "features.{odd}.{index}", "features.{even}", others)


def transformers(paths: Paths) -> Table:
    """Map transformers' ConvNext and ConvNextV2, with or without a classifier."""
    others = {
        "stem": "embeddings.patch_embeddings",
        "stem_norm": "embeddings.layernorm",
        "norm": "layernorm",
    }
    stage = "encoder.stages.{stage}"
    return _table(paths, _TRANSFORMERS, stage + ".layers.{index}", stage + ".downsampling_layer", others)


def authors(paths: Paths) -> Table:
    """Map the files of the authors' repositories (on dl.fbaipublicfiles.com)."""
    others = {"stem": "downsample_layers.0.0", "stem_norm": "downsample_layers.0.1", "norm": "norm"}
    return _table(paths, _AUTHORS, "stages.{stage}.{index}", "downsample_layers.{stage}", others)


TIMM = Family(timm, dropped=r"head\.fc\..*")
TORCHVISION = Family(torchvision, dropped=r"classifier\.2\..*")
TRANSFORMERS = Family(transformers, dropped=r"classifier\..*")
AUTHORS = Family(authors, dropped=r"head\..*")
