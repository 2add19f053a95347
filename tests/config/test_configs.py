"""Every config in configs/ is valid and its whole training step builds, shapes only."""

import importlib
from pathlib import Path

import jax
import numpy as np
import pytest

from fakedetect_jax import experiment
from fakedetect_jax.config.check import validate
from fakedetect_jax.configs import base
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.deployment.inference import INPUTS, make_forward
from fakedetect_jax.faces import Extraction
from fakedetect_jax.training.state import create_state

FOLDER = Path(__file__).parents[2] / "configs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "base"))


@pytest.mark.parametrize("name", NAMES)
def test_builds(name):
    config = importlib.import_module(f"fakedetect_jax.configs.{name}").get_config()
    validate(config, base.get_config())
    frames, size = config.clip.frames, config.clip.size
    model = experiment.make_model(config)
    optimizer = experiment.make_optimizer(config)
    step = experiment.make_step(config, model, optimizer)
    state = jax.eval_shape(lambda: create_state(model, optimizer, seed=0, frames=frames, size=size))
    rows = config.train.batch_size
    clip = {
        "frames": jax.ShapeDtypeStruct((rows, frames, 256, 256, 3), np.uint8),
        "landmarks": jax.ShapeDtypeStruct((rows, frames, 81, 2), np.float32),
        "timestamps": jax.ShapeDtypeStruct((rows, frames), np.float32),
        "valid": jax.ShapeDtypeStruct((rows, frames), np.bool_),
    }
    batch = clip | {
        "label": jax.ShapeDtypeStruct((rows,), np.int32),
        "weight": jax.ShapeDtypeStruct((rows,), np.float32),
    }
    after, metrics = jax.eval_shape(step, state, batch)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), after) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), state
    )
    assert metrics["loss"].shape == ()
    scores, frame_scores = jax.eval_shape(
        make_forward(model, ClipSpec(extraction=Extraction(), **config.clip.to_dict())),
        state.evaluated,
        *(clip[name] for name in INPUTS),
    )
    assert (scores.shape, frame_scores.shape) == ((rows,), (rows, frames))


def test_there_are_configs():
    assert {"demo", "sbi_convnext_tiny"} <= set(NAMES)
