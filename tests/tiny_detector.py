"""A detector with weights drawn at random: what it says means nothing, but is the same everywhere."""

from __future__ import annotations

import dataclasses

import jax

from fakedetect_jax import experiment
from fakedetect_jax.config import model_options
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.deployment.inference import Detector
from fakedetect_jax.training.state import create_state
from tests import tiny_config


def tiny_detector(spec: ClipSpec) -> Detector:
    """Returns a detector of tests/tiny_config.py's model for clips of `spec`."""
    config = tiny_config.get_config()
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    state = create_state(model, optimizer, seed=5, frames=spec.frames, size=spec.size)
    about = {
        "clip": dataclasses.asdict(spec),
        "model": {"name": config.model.name, "options": model_options.resolve(config)},
        "trained": {"people": []},
    }
    return Detector(about, jax.device_get(state.evaluated))
