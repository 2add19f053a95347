"""The variables that a training starts from: drawn at random, but for what a file has."""

from __future__ import annotations

from typing import Any

from fakedetect_jax.weights import hub, own_files
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.families import SOURCES
from fakedetect_jax.weights.importing import Report, load_into
from fakedetect_jax.weights.lite0 import load_lite0
from fakedetect_jax.weights.naming import flat_leaves, make_naming
from fakedetect_jax.weights.reading import read_tensors

LITE0 = "efficientnet_lite0"


def start_from(variables: Any, place: str, source: str) -> tuple[dict[str, Any], Report]:
    """Put the weights of `place` into a model's variables.

    `place` is a file, hf:owner/name[:file] or "efficientnet_lite0", the one that the extra [pretrained] brings.
    `source` says whose names a file has, a key of `SOURCES`; "" is a file of `fakedetect weights import`. Parts of the
    model that the file does not know stay as drawn; a part that it knows must fit whole. WeightsError otherwise.
    """
    if place == LITE0:
        return load_lite0(variables)
    if source and source not in SOURCES:
        raise WeightsError(f"init_source={source!r} is not known; use one of {', '.join(SOURCES)}, or none")
    path = hub.resolve(place)
    if not source:
        tops = {name.split("/")[1] for name in flat_leaves(variables)}
        known = {name.split("/")[1] for name in read_tensors(path) if name.count("/")}
        return own_files.load(path, variables, allow_missing=sorted(tops - known))
    naming = make_naming(SOURCES[source], variables)
    return load_into(variables, read_tensors(path), naming, allow_missing=naming.modules_beside(variables))
