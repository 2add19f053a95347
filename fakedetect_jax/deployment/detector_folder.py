"""The folder of an exported detector: its files, and how they are read and checked."""

from __future__ import annotations

import json
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from safetensors import SafetensorError
from safetensors.numpy import load

from fakedetect_jax import models
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.digests import ChangedFile, check_digests
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import AnyPath
from fakedetect_jax.weights.limits import brief

WEIGHTS, SPEC, PROGRAM, CARD = "weights.safetensors", "detector.json", "forward.stablehlo", "README.md"
FORMAT = 6
# The files whose content decides a score; they have digests. The card is text that may be edited.
DIGESTED = (SPEC, WEIGHTS, PROGRAM)
_REMEDY = "copy the detector again from where it is whole, or make it anew with `fakedetect export`"


class DetectorError(FakedetectError):
    """A folder without a detector, or a detector that cannot be read or whose scores are not finite."""


def read_folder(folder: AnyPath) -> tuple[dict[str, Any], Any]:
    """Read the content of detector.json, and the model's variables.

    Raises:
        DetectorError: a file is missing, changed since it was written, of another format, or does not fit the model;
            names it.
    """
    spec = _read_spec(folder)
    try:
        check_digests(folder, required=DIGESTED)
        flat = load((folder / WEIGHTS).read_bytes())
    except (ChangedFile, SafetensorError) as error:
        raise DetectorError(f"{folder}: the detector is damaged: {error}; {_REMEDY}") from error
    _check_weights(folder, spec, flat)
    return spec, traverse_util.unflatten_dict(flat, sep="/")


def _read_spec(folder: AnyPath) -> dict[str, Any]:
    path = folder / SPEC
    try:
        spec = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DetectorError(
            f"{folder} holds no detector: {SPEC} is missing; make one with `fakedetect export`"
        ) from error
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise DetectorError(f"{path}: cannot be read ({str(error)[:200]}); {_REMEDY}") from error
    # Before the digests: those of another version may be missing, or be of other files.
    found = spec.get("format") if isinstance(spec, dict) else spec
    if found != FORMAT:
        raise DetectorError(
            f"{path}: format {ascii(found)[:50]}, this version reads {FORMAT}; make the detector anew with "
            "`fakedetect export`, from a run of this version"
        )
    return spec


def _check_weights(folder: AnyPath, spec: dict[str, Any], flat: dict[str, np.ndarray]) -> None:
    try:
        model: Any = models.create(spec["model"]["name"], **spec["model"]["options"])
        wanted = _variable_shapes(model, ClipSpec.parse(spec["clip"]))
        _check_provenance(spec["trained"])
    # What Flax and JAX raise on options that make no sense, and Python on those nested too deeply; a FakedetectError of
    # our own checks is a ValueError.
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise DetectorError(
            f"{folder / SPEC}: a field is missing or wrong ({type(error).__name__}: {brief(error)}); make the detector "
            "anew with `fakedetect export`"
        ) from error
    found = {name: (array.shape, str(array.dtype)) for name, array in flat.items()}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise DetectorError(
            f"{folder / WEIGHTS}: {len(wrong)} weights do not fit the model of {SPEC}; the first is {name}: "
            f"{found.get(name, 'missing')} instead of {wanted.get(name, 'nothing')}"
        )


def _check_provenance(trained: dict[str, Any]) -> None:
    """Check what evaluation needs to know of the training: without its people, nobody would be refused."""
    for name, kind in (("people", list), ("config", dict), ("step", int)):
        if not isinstance(trained[name], kind):
            raise TypeError(f"trained.{name} is {trained[name]!r}")
    if not all(isinstance(person, str) for person in trained["people"]):
        raise TypeError("trained.people are not names")
    for name in ("name", "seed", "data", "input", "model"):
        trained["config"][name]


def _variable_shapes(model: Any, spec: ClipSpec) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return the shape and dtype of every parameter and statistic by its path, without computing any."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(spec.frames, spec.size))
    flat: dict[str, Any] = traverse_util.flatten_dict(shapes, sep="/")
    return {name: (leaf.shape, str(leaf.dtype)) for name, leaf in flat.items()}
