"""Image ViTs, from timm and transformers, as the start of a ViViT; and transformers' own ViViT.

The start follows the paper (Arnab et al., ICCV 2021, section 3.4): the patch kernel serves a tubelet's central frame,
and the positions serve every step. Layers along time, which no image model has, keep their random values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from fakedetect_jax.models.published.inflation import clip_positions, inflate
from fakedetect_jax.weights.naming import Entry, Family, Layout, Paths, Table, as_it_is

_ROLES = ("query", "key", "value")
# Where a factorised encoder keeps an image model's part.
_FACTORISED = "encoder/spatial/"


def _to_ours(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Transpose torch's matrices and split the heads; vectors, class tokens and positions likewise."""
    return array.T.reshape(shape) if array.size == math.prod(shape) else array


def _third(index: int) -> Layout:
    """Take the query, key or value, which timm keeps in one matrix."""

    def layout(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        part = np.split(array, 3)[index] if len(array) % 3 == 0 else array
        return _to_ours(part, shape)

    return layout


def _tubelets(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Convert [d, c, rows, columns], or a ViViT's [d, c, frames, rows, columns], to [frames, rows, columns, c, d]."""
    kernel = np.moveaxis(array, (1, 0), (-2, -1))
    return kernel if kernel.ndim == len(shape) else inflate(kernel, shape[0], how="centre")


def _positions(attention: str) -> Layout:
    def layout(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        array = array.reshape(array.shape[-2:])
        places = len(array) - 1
        # A flat list of positions does not say which belong to one step, so it must match the image's or fit nothing.
        steps, ours = (shape[0], shape[1]) if len(shape) == 3 else (1, shape[0] - 1)
        if attention == "spacetime":
            steps, ours = ours // places, places
        grid, image_grid = math.isqrt(ours), math.isqrt(places)
        if array.shape == shape or grid**2 != ours or image_grid**2 != places:
            return array
        return clip_positions(
            array, attention, steps=steps, grid=(grid, grid), image_grid=(image_grid, image_grid)
        )

    return layout


def _attention_of(paths: Paths) -> str:
    if any(path.startswith(_FACTORISED) for path in paths):
        return "factorised_encoder"
    if any("/space_attention/" in path for path in paths):
        return "factorised_self_attention"
    return "spacetime" if "encoder/encoder/position" in paths else "factorised_dot_product"


def _table(
    paths: Paths,
    *,
    names: Mapping[str, str],
    block: Callable[[int], str],
    roles: Callable[[str, str], tuple[str, Layout]],
) -> Table:
    """Map layers by `names`, outside and inside blocks; `roles` gives the layer and layout of query, key or value."""
    attention = _attention_of(paths)
    where = {"factorised_encoder": _FACTORISED, "spacetime": "encoder/encoder/"}.get(attention, "encoder/")
    over_places = "space_attention" if attention == "factorised_self_attention" else "attention"
    table: Table = {
        "tubelets/kernel": Entry(f"{names['patches']}.weight", _tubelets),
        "tubelets": names["patches"],
        f"{where}class_token": Entry(names["class_token"], as_it_is),
        f"{where}position": Entry(names["position"], _positions(attention)),
        f"{where}norm": names["norm"],
    }
    count = sum(path.startswith(f"{where}block") and path.endswith("/expand/kernel") for path in paths)
    for number in range(count):
        ours, theirs = f"{where}block{number}", block(number)
        table[f"{ours}/{over_places}_norm"] = f"{theirs}.{names['attention_norm']}"
        table[f"{ours}/mlp_norm"] = f"{theirs}.{names['mlp_norm']}"
        for part in ("out", "expand", "project"):
            layer = f"{over_places}/out" if part == "out" else part
            table[f"{ours}/{layer}"] = f"{theirs}.{names[part]}"
        for role in _ROLES:
            name, layout = roles(theirs, role)
            for ours_leaf, leaf in (("kernel", "weight"), ("bias", "bias")):
                table[f"{ours}/{over_places}/{role}/{ours_leaf}"] = Entry(f"{name}.{leaf}", layout)
    return table


def timm(paths: Paths) -> Table:
    """Map timm's vit_*."""
    names = {
        "patches": "patch_embed.proj",
        "class_token": "cls_token",
        "position": "pos_embed",
        "norm": "norm",
        "attention_norm": "norm1",
        "mlp_norm": "norm2",
        "out": "attn.proj",
        "expand": "mlp.fc1",
        "project": "mlp.fc2",
    }

    def roles(block: str, role: str) -> tuple[str, Layout]:
        return f"{block}.attn.qkv", _third(_ROLES.index(role))

    return _table(paths, names=names, block=lambda number: f"blocks.{number}", roles=roles)


def transformers(paths: Paths) -> Table:
    """Map transformers' ViT and ViViT."""
    names = {
        "patches": "embeddings.patch_embeddings.projection",
        "class_token": "embeddings.cls_token",
        "position": "embeddings.position_embeddings",
        "norm": "layernorm",
        "attention_norm": "layernorm_before",
        "mlp_norm": "layernorm_after",
        "out": "attention.output.dense",
        "expand": "intermediate.dense",
        "project": "output.dense",
    }

    def roles(block: str, role: str) -> tuple[str, Layout]:
        return f"{block}.attention.attention.{role}", _to_ours

    return _table(paths, names=names, block=lambda number: f"encoder.layer.{number}", roles=roles)


_FRESH = r"params/encoder/(temporal/.*|block\d+/time_attention(_norm)?/.*)"
_NOTE = (
    "made for pixels in [-1, 1], as ViViT takes them; a ViT made for others (ImageNet's mean and deviation) starts "
    "slightly off. ViViT's GELU is the tanh approximation"
)
TIMM = Family(
    timm,
    layout=_to_ours,
    outside=("head",),
    fresh=_FRESH,
    dropped=r"(head|fc_norm|pre_logits)\..*|cls_token",
    note=_NOTE,
)
TRANSFORMERS = Family(
    transformers,
    layout=_to_ours,
    outside=("head",),
    fresh=_FRESH,
    dropped=r"(classifier|pooler)\..*|embeddings\.cls_token",
    note=_NOTE,
)
