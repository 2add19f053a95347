"""Models by name: `create` makes one, `list_models` names them, `table` describes them.

A model is a Flax module with plain keyword arguments that is called on a `Clip`.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.catalogue import CATALOGUE
from fakedetect_jax.models.clip import Clip, clip_shapes
from fakedetect_jax.models.detector import Detector
from fakedetect_jax.models.options import check_names, hashable


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of the table.

    Attributes:
        name: name in the catalogue.
        options: options with which the model was made.
        input: shape of the float32 frames [1, t, h, w, 3] that it was measured on.
        parameters: number of trained parameters, without the statistics of norms.
        flops: operations of one forward pass, two per multiply-add.
        source: the paper.
    """

    name: str
    options: Mapping[str, Any]
    input: tuple[int, ...]
    parameters: int
    flops: float
    source: str


def create(name: str, **options: Any) -> nn.Module:
    """Make a model by name.

    Every model is called as `module.apply(variables, clip, train=False)` on a `Clip` and returns the logits [b] of
    being fake and a dictionary with at least 'frame_logit' [b, t] and 'features' [b, d], all float32.

    Args:
        name: a name of `list_models`.
        options: options of the module, laid over those that the name stands for.

    Raises:
        FakedetectError: the name, an option or its value is wrong.

    Example:
        >>> model = create("meso4")
        >>> clip = Clip(jax.numpy.zeros((1, 2, 64, 64, 3)))
        >>> logit, out = model.apply(model.init(jax.random.key(0), clip), clip)
        >>> logit.shape, out["frame_logit"].shape
        ((1,), (1, 2))
    """
    if name not in CATALOGUE:
        raise FakedetectError(f"model {name!r} is not known; use one of {', '.join(CATALOGUE)}")
    entry = CATALOGUE[name]
    check_names(f"model {name!r}", entry.model, options)
    merged = dict(entry.options)
    for option, value in options.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(option), Mapping)
        merged[option] = {**merged[option], **value} if both else value
    return entry.model(**{option: hashable(value) for option, value in merged.items()})


def is_motion_only(model: nn.Module) -> bool:
    """Return whether a model judges by change over time alone, so that a still tells it nothing.

    Such models say so by an attribute `motion_only`.

    Example:
        >>> is_motion_only(create("detector", motion={})), is_motion_only(create("meso4"))
        (True, False)
    """
    return bool(getattr(model, "motion_only", False))


def list_models(containing: str = "") -> list[str]:
    """Return the names of the models whose name contains a text, in the order of the catalogue.

    Example:
        >>> list_models("meso")
        ['meso4', 'meso_inception4']
    """
    return [name for name in CATALOGUE if containing in name]


def table(names: Sequence[str] = tuple(CATALOGUE)) -> list[Row]:
    """Measure models on the clips that they are made for, without running them."""
    rows = []
    for name in names:
        entry = CATALOGUE[name]
        frames, size = entry.clip
        model = create(name, **entry.measured)
        clip = clip_shapes(frames, size)
        variables = jax.eval_shape(model.init, jax.random.key(0), clip)
        apply = jax.jit(lambda v, c, model=model: model.apply(v, c)[0])
        cost = apply.lower(variables, clip).cost_analysis()
        parameters = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))
        flops = float(cost["flops"] if cost else math.nan)
        options = {**entry.options, **entry.measured}
        rows.append(Row(name, options, clip.frames.shape, parameters, flops, entry.source))
    return rows


__all__ = ["Clip", "Detector", "Row", "clip_shapes", "create", "is_motion_only", "list_models", "table"]
