"""A detector with weights drawn at random: what it says means nothing, but is the same everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

import fakedetect_jax
from fakedetect_jax import experiment
from fakedetect_jax.config import model_options
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.deployment.detector_folder import FORMAT
from fakedetect_jax.deployment.export import write_detector
from fakedetect_jax.deployment.inference import Detector
from fakedetect_jax.faces import Extraction
from fakedetect_jax.training.provenance import describe_import
from fakedetect_jax.training.state import create_state
from tests import tiny_config

# Like the demo's network, it looks at motion alone.
MOTION = {"motion": {"widths": (8,), "cell": 8, "filters": 2}}


def write_tiny_detector(folder: Path) -> None:
    """Writes such a detector as an export does, for clips of tests/tiny_config.py."""
    config = tiny_config.get_config()
    config.model.init_from = "weights.safetensors"
    clip = ClipSpec(extraction=Extraction(), **config.clip.to_dict())
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    state = create_state(model, optimizer, seed=5, frames=clip.frames, size=clip.size)
    spec = {
        "format": FORMAT,
        "model": {"name": config.model.name, "options": model_options.resolve(config)},
        "clip": dataclasses.asdict(clip),
        "trained": {"step": 0, "validation": {}, **describe_import(config.to_dict(), clip)},
        "version": fakedetect_jax.__version__,
    }
    write_detector(folder, model, jax.device_get(state.evaluated), spec)


def tiny_detector(spec: ClipSpec, model: Mapping[str, Any] | None = None) -> Detector:
    """Returns a detector of tests/tiny_config.py's model, or of one with other options, for clips of `spec`."""
    config = tiny_config.get_config()
    if model is not None:
        config.model.options = dict(model)
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    state = create_state(model, optimizer, seed=5, frames=spec.frames, size=spec.size)
    about = {
        "clip": dataclasses.asdict(spec),
        "model": {"name": config.model.name, "options": model_options.resolve(config)},
        "trained": {"people": []},
    }
    return Detector(about, jax.device_get(state.evaluated))
