"""A detector with weights drawn at random: what it says means nothing, but is the same everywhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax

from fakedetect_jax import experiment
from fakedetect_jax.config import model_options
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.deployment.inference import Detector
from fakedetect_jax.training.state import create_state
from tests import tiny_config

# Like the demo's network, it looks at motion alone.
MOTION = {"motion": {"widths": (8,), "cell": 8, "filters": 2}}


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
