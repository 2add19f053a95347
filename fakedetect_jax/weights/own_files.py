"""Weights under our own names: a safetensors file with 'params/...', 'batch_stats/...' and their origin."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fakedetect_jax.files import write_tensors
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.families import SOURCES
from fakedetect_jax.weights.importing import Report, load_into
from fakedetect_jax.weights.naming import flat_leaves, same_names
from fakedetect_jax.weights.reading import read_metadata, read_tensors


@dataclasses.dataclass(frozen=True)
class Origin:
    """The model that a file's weights belong to, and where they come from.

    Attributes:
        model: name of the model or part.
        options: its options.
        source: whose weights they were, a key of `SOURCES`.
        file: the file they were read from.
    """

    model: str
    options: dict[str, Any]
    source: str
    file: str


def save(path: str | Path, variables: Any, origin: Origin) -> Path:
    """Write the arrays of `variables`, skipping leaves that are only shapes. The file appears whole or not at all."""
    path = Path(path)
    arrays = {
        name: np.asarray(leaf)
        for name, leaf in flat_leaves(variables).items()
        if not isinstance(leaf, jax.ShapeDtypeStruct)
    }
    metadata = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in dataclasses.asdict(origin).items()
    }
    write_tensors(path, arrays, metadata)
    return path


def load(
    path: str | Path, variables: Any, *, allow_missing: Sequence[str] = ()
) -> tuple[dict[str, Any], Report]:
    """Load a saved file's arrays into a model's variables, as `load_into` does."""
    return load_into(variables, read_tensors(path), same_names(variables), allow_missing=allow_missing)


def load_part(path: str | Path, variables: Any) -> tuple[dict[str, Any], Report]:
    """Load a saved file's arrays into a model, or into the module of it that the file is for.

    Modules that the file does not know keep their values; one that it knows must fit whole.

    Raises:
        WeightsError: the file has other names than this project's, fits several modules, or fits in part.
    """
    leaves = flat_leaves(variables)
    tensors = read_tensors(path)
    if not any(name.startswith("params/") for name in tensors):
        raise WeightsError(
            f"{path}: has no names of this project, which begin with params/, but such as {min(tensors, default='')}. "
            f"Remedy: say whose names they are with config.model.init_source, one of {', '.join(SOURCES)}"
        )
    modules = ["", *sorted({name.split("/")[1] for name in leaves})]
    placed = {module: {_below(module, name): value for name, value in tensors.items()} for module in modules}
    counts = {module: len(leaves.keys() & names.keys()) for module, names in placed.items()}
    best = [module for module in modules if counts[module] == max(counts.values())]
    if counts[best[0]] and len(best) > 1:
        raise WeightsError(
            f"{path}: fits {' and '.join(best)} of the model equally well. Remedy: fakedetect weights import for the "
            "whole model, with --into and one of them"
        )
    known = {name.split("/")[1] for name in placed[best[0]] if "/" in name}
    tops = {name.split("/")[1] for name in leaves}
    return load_into(variables, placed[best[0]], same_names(variables), allow_missing=sorted(tops - known))


def _below(module: str, name: str) -> str:
    """Return the name of a module's leaf, 'params/stem/kernel', in a model that has the module."""
    collection, _, rest = name.partition("/")
    return f"{collection}/{module}/{rest}" if module else name


def origin_of(path: str | Path) -> Origin:
    """Read the origin that `save` wrote beside the arrays."""
    metadata = read_metadata(path)
    options = json.loads(metadata.get("options", "{}"))
    return Origin(metadata.get("model", ""), options, metadata.get("source", ""), metadata.get("file", ""))
