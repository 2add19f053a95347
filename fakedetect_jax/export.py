"""A trained run -> a folder that anyone can use: weights, what they need, and a program for every platform."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np
from flax import traverse_util
from safetensors.numpy import save_file

import fakedetect_jax
from fakedetect_jax import experiment
from fakedetect_jax.config import Config
from fakedetect_jax.faces.extract import CROP_MARGIN, CROP_SIZE
from fakedetect_jax.inference import CARD, FORMAT, PROGRAM, SPEC, WEIGHTS, Preprocessing, make_forward
from fakedetect_jax.model_card import model_card
from fakedetect_jax.training.checkpoint import Checkpoints
from fakedetect_jax.training.loop import CHECKPOINTS
from fakedetect_jax.training.state import create_state
from fakedetect_jax.training.validation import SELECTION_METRIC

PLATFORMS = ("cpu", "cuda", "tpu")
FOLDER = "detector"


def export(config: Config, workdir: str | Path) -> Path:
    """Writes the averaged weights of the best checkpoint by validation as a detector.

    Returns:
      `workdir`/detector with weights.safetensors, detector.json (model, preprocessing, provenance),
      forward.stablehlo (jax.export: (weights by path, frames, landmarks, timestamps, valid) -> P(fake) of clips and
      frames, for cpu, cuda and tpu, with a symbolic number of clips) and README.md, the model card. It appears
      whole or not at all.

    Raises:
      CheckpointMismatch: no validated checkpoint, or one that does not fit the config.
    """
    workdir = Path(workdir)
    checkpoints = Checkpoints(workdir / CHECKPOINTS, metric=SELECTION_METRIC, read_only=True)
    step = checkpoints.best_step()
    model = experiment.make_model(config)
    preprocessing = Preprocessing(
        crop_size=CROP_SIZE,
        crop_margin=CROP_MARGIN,
        input_size=config.input.recipe.size,
        input_margin=config.input.margin,
        frames=config.data.frames,
        stride=config.data.stride,
        spacing=config.data.spacing,
    )
    template = create_state(
        model,
        experiment.make_optimizer(config),
        seed=config.seed,
        frames=preprocessing.frames,
        size=preprocessing.input_size,
    )
    variables = jax.device_get(checkpoints.restore(step, template).evaluated)
    spec = {
        "format": FORMAT,
        "model": {"name": config.model.name, "options": experiment.model_options(config)},
        "preprocessing": dataclasses.asdict(preprocessing),
        "trained": {"step": step, "validation": checkpoints.metrics(step), **checkpoints.about(step)},
        "version": fakedetect_jax.__version__,
    }
    checkpoints.close()
    return write(workdir / FOLDER, model, variables, spec)


def write(folder: Path, model: Any, variables: Any, spec: dict[str, Any]) -> Path:
    """Writes a detector's folder; one that is there already is replaced only when the new one is whole."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    flat = {name: np.asarray(leaf) for name, leaf in traverse_util.flatten_dict(variables, sep="/").items()}
    save_file(flat, partial / WEIGHTS)
    (partial / SPEC).write_text(json.dumps(spec, indent=1), encoding="utf-8")
    program = stablehlo(model, flat, Preprocessing(**spec["preprocessing"]))
    (partial / PROGRAM).write_bytes(program)
    (partial / CARD).write_text(model_card(spec, flat), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def stablehlo(model: Any, flat: dict[str, np.ndarray], preprocessing: Preprocessing) -> bytes:
    """Serialises the detector's whole function, preprocessing included, for all platforms and batch sizes."""
    forward = make_forward(model, preprocessing)

    def by_path(weights: dict[str, jax.Array], *inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        return forward(traverse_util.unflatten_dict(weights, sep="/"), *inputs)

    (batch,) = jax.export.symbolic_shape("b")
    frames, side = preprocessing.frames, preprocessing.crop_size
    exported = jax.export.export(jax.jit(by_path), platforms=PLATFORMS)(
        {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in flat.items()},
        jax.ShapeDtypeStruct((batch, frames, side, side, 3), np.uint8),
        jax.ShapeDtypeStruct((batch, frames, 81, 2), np.float32),
        jax.ShapeDtypeStruct((batch, frames), np.float32),
        jax.ShapeDtypeStruct((batch, frames), np.bool_),
    )
    return bytes(exported.serialize())
