"""The folder of a detector that anyone can use: weights, what they need, and a program for every platform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np
from flax import linen as nn
from flax import traverse_util

from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.deployment.detector_folder import CARD, DIGESTED, PROGRAM, SPEC, WEIGHTS
from fakedetect_jax.deployment.inference import make_forward
from fakedetect_jax.deployment.model_card import model_card
from fakedetect_jax.digests import write_digests
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import AnyPath, write_bytes, write_tensors, write_text

PLATFORMS = ("cpu", "cuda", "tpu")


def write_detector(folder: AnyPath, model: nn.Module, variables: Any, spec: dict[str, Any]) -> None:
    """Write a detector's folder; an existing one is replaced only when the new one is complete.

    The folder has weights.safetensors, detector.json, README.md (the model card) and forward.stablehlo (jax.export:
    (weights by path, frames, landmarks, timestamps, valid) -> logits of P(fake) of clips and frames, for cpu, cuda and
    tpu, with a symbolic number of clips). sha256.json has the digests of all but the card.

    Args:
        folder: the folder to write.
        model: the model of `spec["model"]`.
        variables: its parameters and statistics.
        spec: the content of detector.json: `format`, `model` (name, options), `clip`, `trained` (step, validation,
            and the run as `training.provenance` describes it) and `version`.

    Raises:
        FakedetectError: a file has the folder's name.
        OSError: there is no room, or no right to write; an existing detector stays as it was.
    """
    if not isinstance(folder, Path):
        # A bucket cannot rename a folder at once. Until sha256.json is there, a folder is no detector.
        if folder.exists():
            folder.rmtree()
        _write_files(folder, model, variables, spec)
        return
    partial, old = (folder.with_name(folder.name + suffix) for suffix in (".partial", ".old"))
    for place in (folder, partial, old):
        if place.is_file():
            raise FakedetectError(
                f"{place} is a file, and an export needs a folder of that name; move it away"
            )
    # An export was killed between the two renames below.
    if old.exists() and not folder.exists():
        old.rename(folder)
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    try:
        _write_files(partial, model, variables, spec)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _write_files(folder: AnyPath, model: nn.Module, variables: Any, spec: dict[str, Any]) -> None:
    flat = {name: np.asarray(leaf) for name, leaf in traverse_util.flatten_dict(variables, sep="/").items()}
    write_tensors(folder / WEIGHTS, flat)
    write_bytes(folder / PROGRAM, stablehlo(model, flat, ClipSpec.parse(spec["clip"])))
    write_text(folder / CARD, model_card(spec, flat))
    write_text(folder / SPEC, json.dumps(spec, indent=1))
    write_digests(folder, {name: folder / name for name in DIGESTED})


def stablehlo(model: nn.Module, flat: dict[str, np.ndarray], clip: ClipSpec) -> bytes:
    """Serialise the detector's whole function, its crop included, for all platforms and batch sizes."""
    forward = make_forward(model, clip)

    def by_path(weights: dict[str, jax.Array], *inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        return forward(traverse_util.unflatten_dict(weights, sep="/"), *inputs)

    (batch,) = jax.export.symbolic_shape("b")
    frames, side = clip.frames, clip.extraction.size
    exported = jax.export.export(jax.jit(by_path), platforms=PLATFORMS)(
        {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in flat.items()},
        jax.ShapeDtypeStruct((batch, frames, side, side, 3), np.uint8),
        jax.ShapeDtypeStruct((batch, frames, 81, 2), np.float32),
        jax.ShapeDtypeStruct((batch, frames), np.float32),
        jax.ShapeDtypeStruct((batch, frames), np.bool_),
    )
    return bytes(exported.serialize())
