"""Every config in configs/ is valid and its whole training step builds, shapes only."""

import jax
import numpy as np
import pytest

from fakedetect_jax import experiment
from fakedetect_jax.cli.config_files import names, open_config
from fakedetect_jax.config.check import validate
from fakedetect_jax.configs import base
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.deployment.inference import INPUTS, make_forward
from fakedetect_jax.errors import ConfigError
from fakedetect_jax.faces import Extraction
from fakedetect_jax.training.state import create_state

ARGUMENTS = {"sbi_convnext_tiny": ("small", "base")}


@pytest.mark.parametrize(
    "reference", [*names(), *(f"{name}:{arg}" for name, args in ARGUMENTS.items() for arg in args)]
)
def test_builds(reference):
    config = open_config(reference).get_config()
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


def test_an_argument_chooses_the_backbone_and_its_weights():
    config = open_config("sbi_convnext_tiny:base").get_config()
    assert config.name == "sbi_convnext_base"
    assert config.model.options.spatial.variant == "base"
    assert config.model.init_from == "hf:timm/convnext_base.fb_in1k"
    assert open_config("sbi_convnext_tiny").get_config() == open_config("sbi_convnext_tiny:tiny").get_config()


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("sbi_convnext_tiny:huge", "'huge'; it must be one of tiny, small, base"),
        ("demo:fast", "'fast'; this config takes none"),
        ("demo_pretrained:fast", "'fast'; this config takes none"),
    ],
)
def test_an_argument_that_a_config_does_not_know_is_refused(reference, words):
    with pytest.raises(ConfigError, match=words):
        open_config(reference).get_config()


def test_the_sweep_of_the_demo_is_over_the_seeds_of_its_figures():
    assert open_config("demo").sweep() == [{"seed": 0}, {"seed": 1}, {"seed": 2}]
