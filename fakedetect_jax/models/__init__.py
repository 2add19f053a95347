"""Flax modules with plain keyword arguments; `create` makes one by name and `table` tells what there is."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedetect_jax.models.detector import Detector, option_names
from fakedetect_jax.models.spatial import convnext

_CONVNEXT_PAPER = "Liu et al., A ConvNet for the 2020s, CVPR 2022"
_SMALL_CONVNEXT_SOURCE = "Wightman, PyTorch Image Models, 2022 (after Liu et al., CVPR 2022)"
_FREQUENCY_PAPER = "Wang et al., M2TR, ICMR 2022 (learnable filters on the spectrum)"

# name: (options of the detector that the name stands for, where it comes from)
_MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "detector": ({}, "own composition; parts as their own rows, ViViT (Arnab et al., ICCV 2021) over time"),
    "frequency": ({"frequency": {}}, _FREQUENCY_PAPER),
} | {
    f"convnext_{variant}": (
        {"spatial": {"variant": variant}},
        _CONVNEXT_PAPER if variant in ("tiny", "small", "base", "large") else _SMALL_CONVNEXT_SOURCE,
    )
    for variant in convnext.VARIANTS
}
# `detector` has no parts of its own; this is what its row in the table measures.
_TABLE_DETECTOR = {"spatial": {"variant": "tiny"}, "frequency": {}, "temporal": {}}


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of the table.

    `parameters` and `flops` (two per multiply-add, one forward pass) are those of the model made with
    `options`, on a float32 input of shape `input`; `source` is the paper.
    """

    name: str
    options: Mapping[str, Any]
    input: tuple[int, ...]
    parameters: int
    flops: float
    source: str


def create(name: str, **options: Any) -> nn.Module:
    """Make a model by name. Options are those of `Detector`, laid over the ones that the name stands for.

    Every model is called as `module.apply(variables, frames [b, t, h, w, 3] in [0, 1], valid=None,
    train=False)` and returns (logit [b], {'frame_logit': [b, t], 'features': [b, d]}). ValueError for an
    unknown name or option.
    """
    if name not in _MODELS:
        raise ValueError(f"model {name!r} is not known; use one of {', '.join(_MODELS)}")
    known = option_names(Detector)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"model {name!r} has no option {', '.join(unknown)}; known: {', '.join(known)}")
    merged = dict(_MODELS[name][0])
    for option, value in options.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(option), Mapping)
        merged[option] = {**merged[option], **value} if both else value
    return Detector(**merged)


def table(*, frames: int = 1, size: int = 224) -> list[Row]:
    """Size and cost of every model on a clip of `frames` frames of `size` px, counted without running it."""
    shape = (1, frames, size, size, 3)
    rows = []
    for name, (options, source) in _MODELS.items():
        options = options or _TABLE_DETECTOR
        model = create(name, **options)
        clip = jax.ShapeDtypeStruct(shape, jnp.float32)
        variables = jax.eval_shape(model.init, jax.random.key(0), clip)
        cost = jax.jit(model.apply).lower(variables, clip).cost_analysis()
        parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))
        rows.append(Row(name, options, shape, parameters, float(cost["flops"] if cost else math.nan), source))
    return rows
