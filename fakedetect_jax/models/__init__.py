"""Flax modules with plain keyword arguments; `create` makes one by name and `table` tells what there is."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from flax.core import FrozenDict

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.catalogue import CATALOGUE
from fakedetect_jax.models.clip import Clip, clip_shapes
from fakedetect_jax.models.detector import Detector, option_names


@dataclasses.dataclass(frozen=True)
class Row:
    """One model of the table.

    `parameters` (trained ones, without the statistics of norms) and `flops` (two per multiply-add, one forward pass)
    are those of the model made with `options`, on a float32 input of shape `input`; `source` is the paper.
    """

    name: str
    options: Mapping[str, Any]
    input: tuple[int, ...]
    parameters: int
    flops: float
    source: str


def create(name: str, **options: Any) -> nn.Module:
    """Make a model by name. Options are laid over those that the name stands for.

    Every model is called as `module.apply(variables, clip, train=False)`, where `clip` is a `Clip`, and returns
    (logit [b], {'frame_logit': [b, t], 'features': [b, d]}).
    ValueError for an unknown name or option.
    """
    if name not in CATALOGUE:
        raise FakedetectError(f"model {name!r} is not known; use one of {', '.join(CATALOGUE)}")
    entry = CATALOGUE[name]
    known = option_names(entry.model)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise FakedetectError(f"model {name!r} has no option {', '.join(unknown)}; known: {', '.join(known)}")
    merged = dict(entry.options)
    for option, value in options.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(option), Mapping)
        merged[option] = {**merged[option], **value} if both else value
    return entry.model(**{option: _hashable(value) for option, value in merged.items()})


def _hashable(value: Any) -> Any:
    """Flax compares and hashes modules by their attributes: neither lists nor plain dictionaries have a hash."""
    if isinstance(value, Mapping):
        return FrozenDict({key: _hashable(item) for key, item in value.items()})
    return tuple(_hashable(item) for item in value) if isinstance(value, list | tuple) else value


def table(names: Sequence[str] = tuple(CATALOGUE)) -> list[Row]:
    """Size and cost of models on the clips that they are made for, counted without running them."""
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


__all__ = ["Clip", "Detector", "Row", "clip_shapes", "create", "table"]
