"""A trained run -> a folder that anyone can use: weights, what they need, and a program for every platform."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

import fakedetect_jax
from fakedetect_jax import experiment, parallel
from fakedetect_jax.config import Config, model_options
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.deployment.inference import CARD, FORMAT, PROGRAM, SPEC, WEIGHTS, make_forward
from fakedetect_jax.deployment.model_card import model_card
from fakedetect_jax.faces.landmarks import LANDMARKS
from fakedetect_jax.files import write_tensors
from fakedetect_jax.training.checkpoint import Checkpoints
from fakedetect_jax.training.loop import CHECKPOINTS
from fakedetect_jax.training.provenance import check_same_config
from fakedetect_jax.training.validation import SELECTION_METRIC

PLATFORMS = ("cpu", "cuda", "tpu")
FOLDER = "detector"


def export(config: Config, workdir: str | Path) -> Path:
    """Writes the averaged weights of the best checkpoint by validation as a detector.

    The detector is that of the checkpoint's own config; `config` must be the same, but for what changes no number.
    Of several processes all read the checkpoint, and the first one writes.

    Returns:
      `workdir`/detector with weights.safetensors, detector.json (model, clip, provenance), forward.stablehlo
      (jax.export: (weights by path, frames, landmarks, timestamps, valid) -> logits of P(fake) of clips and frames,
      for cpu, cuda and tpu, with a symbolic number of clips) and README.md, the model card. It appears whole or
      not at all.

    Raises:
      CheckpointMismatch: no validated checkpoint, or one of another config; names the fields.
    """
    workdir = Path(workdir)
    checkpoints = Checkpoints(workdir / CHECKPOINTS, metric=SELECTION_METRIC, read_only=True)
    step = checkpoints.best_step()
    about = checkpoints.about(step)
    check_same_config(about, config, where=f"{workdir / CHECKPOINTS}, step {step}")
    trained: Config = ConfigDict(about["config"])
    model = experiment.make_model(trained)
    whole = parallel.replicated(parallel.make_mesh())
    template = experiment.make_template(trained, model, experiment.make_optimizer(trained), whole)
    variables = jax.device_get(checkpoints.restore(step, template).evaluated)
    spec = {
        "format": FORMAT,
        "model": {"name": trained.model.name, "options": model_options.resolve(trained)},
        "clip": about["clip"],
        "trained": {"step": step, "validation": checkpoints.metrics(step), **about},
        "version": fakedetect_jax.__version__,
    }
    checkpoints.close()
    folder = workdir / FOLDER
    if not jax.process_index():
        write(folder, model, variables, spec)
    parallel.wait_for_all("the detector is written")
    return folder


def write(folder: Path, model: Any, variables: Any, spec: dict[str, Any]) -> None:
    """Writes a detector's folder; one that is there already is replaced only when the new one is whole."""
    partial, old = (folder.with_name(folder.name + suffix) for suffix in (".partial", ".old"))
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    partial.mkdir(parents=True)
    flat = {name: np.asarray(leaf) for name, leaf in traverse_util.flatten_dict(variables, sep="/").items()}
    write_tensors(partial / WEIGHTS, flat)
    (partial / SPEC).write_text(json.dumps(spec, indent=1), encoding="utf-8")
    (partial / PROGRAM).write_bytes(stablehlo(model, flat, ClipSpec.parse(spec["clip"])))
    (partial / CARD).write_text(model_card(spec, flat), encoding="utf-8")
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def stablehlo(model: Any, flat: dict[str, np.ndarray], clip: ClipSpec) -> bytes:
    """Serialises the detector's whole function, its crop included, for all platforms and batch sizes."""
    forward = make_forward(model, clip)

    def by_path(weights: dict[str, jax.Array], *inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        return forward(traverse_util.unflatten_dict(weights, sep="/"), *inputs)

    (batch,) = jax.export.symbolic_shape("b")
    frames, side = clip.frames, clip.extraction.size
    exported = jax.export.export(jax.jit(by_path), platforms=PLATFORMS)(
        {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in flat.items()},
        jax.ShapeDtypeStruct((batch, frames, side, side, 3), np.uint8),
        jax.ShapeDtypeStruct((batch, frames, LANDMARKS, 2), np.float32),
        jax.ShapeDtypeStruct((batch, frames), np.float32),
        jax.ShapeDtypeStruct((batch, frames), np.bool_),
    )
    return bytes(exported.serialize())
