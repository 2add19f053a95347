"""A frozen backbone is left alone, and costs no backward pass."""

import jax
import numpy as np
import pytest

from fakedetect_jax import experiment, models
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.training.state import create_state
from tests import tiny_config
from tests.training.recorded_clips import recorded_clips

RESNET = {"name": "resnet", "variant": None, "depths": (1, 1), "stem": 8}
CLIPS = 4


def make(frozen):
    config = tiny_config.get_config()
    config.input.fakes = "recorded"
    config.model.options = {"spatial": RESNET, "temporal": {"name": "gru", "dim": 8}, "frozen": frozen}
    config.input.recipe.jpeg = 0.0
    config.optimizer.warmup_steps = 0
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    state = create_state(model, optimizer, seed=0, frames=2, size=32)
    return model, experiment.make_step(config, model, optimizer), state


@pytest.fixture(scope="module")
def batch():
    return recorded_clips(CLIPS)


@pytest.fixture(scope="module")
def taken(batch):
    """{frozen: (operations of the compiled step, state before, and after it)}, and those of a forward pass."""
    outcome = {}
    for frozen in ((), ("spatial",)):
        model, step, state = make(frozen)
        program = jax.jit(step).lower(state, batch).compile()
        after, metrics = program(state, batch)
        assert np.isfinite(metrics["loss"])
        outcome[frozen] = program.cost_analysis()["flops"], jax.device_get(state), jax.device_get(after)
    images = np.zeros((CLIPS, 2, 32, 32, 3), np.float32)
    forward = (
        jax.jit(lambda variables: model.apply(variables, Clip(images))[0]).lower(state.evaluated).compile()
    )
    return outcome, forward.cost_analysis()["flops"]


def largest_change(before, after):
    return max(jax.tree.leaves(jax.tree.map(lambda x, y: np.abs(x - y).max(), before, after)))


def test_only_the_other_parts_learn(taken):
    for frozen, (_, before, after) in taken[0].items():
        spatial = largest_change(before.params["spatial"], after.params["spatial"])
        statistics = largest_change(before.statistics["spatial"], after.statistics["spatial"])
        assert (spatial == 0.0) == (statistics == 0.0) == bool(frozen)
        average = largest_change(before.average["spatial"], after.average["spatial"])
        assert (average == 0.0) == bool(frozen)
        assert largest_change(before.params["temporal"], after.params["temporal"]) > 0.0


def test_no_gradient_of_it_is_computed(taken):
    outcome, forward = taken
    trained, frozen = (outcome[key][0] for key in ((), ("spatial",)))
    # A backward pass costs about twice the forward one, nearly all of which is the backbone's.
    assert trained - frozen > 1.5 * forward


def test_only_branches_can_be_frozen():
    with pytest.raises(ValueError, match="names 'temporal', which is not a branch"):
        models.create("detector", spatial={"variant": "atto"}, temporal={}, frozen=("temporal",))
    with pytest.raises(ValueError, match="names 'motion', which is not a branch"):
        models.create("detector", spatial={"variant": "atto"}, frozen=("motion",))
