"""`fakedetect weights import`: convert a file of foreign weights to our format."""

from __future__ import annotations

import argparse
import json
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fakedetect_jax import models
from fakedetect_jax.models.catalogue import CATALOGUE
from fakedetect_jax.models.spatial import SPATIAL
from fakedetect_jax.weights import hub, own_files
from fakedetect_jax.weights.adapt import to_channels_of
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.families import SOURCES
from fakedetect_jax.weights.importing import load_file
from fakedetect_jax.weights.naming import first_convolution, make_naming
from fakedetect_jax.weights.other_sources import suggesting_sources

# Side of the images used to infer a backbone's shapes, which do not depend on it.
_SIZE = 224


def import_weights(arguments: argparse.Namespace) -> None:
    """Run `weights import`.

    `arguments` has source (a key of `SOURCES`), file, model, options (JSON), out, allow_missing, into, prefix, channels
    and size. If anything does not fit, raise WeightsError and write no file.
    """
    if arguments.source not in SOURCES:
        raise WeightsError(f"--from {arguments.source!r} is not known; use one of {', '.join(SOURCES)}")
    options = _options(arguments.options)
    variables = model_shapes(arguments.model, options, size=arguments.size, channels=arguments.channels)
    naming = make_naming(SOURCES[arguments.source], variables, into=arguments.into)
    if arguments.channels != 3:
        naming = naming.with_layout(first_convolution(naming), to_channels_of)
    path = hub.resolve(arguments.file)
    with suggesting_sources(variables, into=arguments.into):
        loaded, report = load_file(
            variables, path, naming, allow_missing=arguments.allow_missing, prefix=arguments.prefix
        )
    origin = own_files.Origin(arguments.model, options, arguments.source, arguments.file)
    print(f"{report.describe()}\nwritten: {own_files.save(arguments.out, loaded, origin)}")


def model_shapes(name: str, options: dict[str, Any], *, size: int | None = None, channels: int = 3) -> Any:
    """Return the variable shapes of a model of `models.create`, or of a spatial backbone alone by its own name.

    `size` is the frames' side in pixels (default: that of the model's clips); `channels` applies to a lone backbone.
    """
    if name in SPATIAL and name not in CATALOGUE:
        images = jax.ShapeDtypeStruct((1, size or _SIZE, size or _SIZE, channels), jnp.float32)
        return jax.eval_shape(_backbone(name, options).init, jax.random.key(0), images)
    model = models.create(name, **options)
    if channels != 3:
        raise WeightsError(
            f"{name} takes frames of 3 channels; --channels {channels} is only for {', '.join(SPATIAL)}"
        )
    frames, side = CATALOGUE[name].clip
    return jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(frames, size or side))


def _backbone(name: str, options: dict[str, Any]) -> nn.Module:
    try:
        return SPATIAL[name](**options)
    except TypeError as error:
        raise WeightsError(f"--options {json.dumps(options)}: {error}") from error


def _options(text: str) -> dict[str, Any]:
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(f"--options {text!r} is not JSON: {error}") from error
    if not isinstance(options, dict):
        raise WeightsError(f'--options {text!r} must be a JSON object, such as {{"variant": "b4"}}')
    # Modules are hashed by their attributes, and lists are not hashable.
    return {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
