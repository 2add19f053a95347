"""Statistics of batch norms in training: of the whole batch, of valid frames, averaged with the weights."""

import jax
import numpy as np
import pytest

from fakedetect_jax import experiment, models, parallel
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.training.state import create_state
from fakedetect_jax.training.step import compile_step
from tests import tiny_config
from tests.models.published.parity import random_variables
from tests.training.recorded_clips import recorded_clips

CLIPS, DECAY = 8, 0.9
RESNET = {"name": "resnet", "variant": None, "depths": (1, 1), "stem": 8}


@pytest.fixture(scope="module")
def batch():
    return recorded_clips(CLIPS, valid=0.8)


@pytest.fixture(scope="module")
def step_on(batch):
    """The state before a step, and a function that takes it on so many devices."""
    config = tiny_config.get_config()
    config.input.fakes = "recorded"
    config.input.recipe.jpeg = 0.0
    config.optimizer.warmup_steps, config.optimizer.ema_decay = 0, DECAY
    config.model.options = {"spatial": RESNET, "temporal": {"name": "gru", "dim": 8}}
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    step = experiment.make_step(config, model, optimizer)
    # Far enough for the average to remember.
    start = create_state(model, optimizer, seed=0, frames=2, size=32)
    start = jax.device_get(start.replace(step=start.step + 1000))

    def take(devices):
        mesh = parallel.make_mesh(jax.devices()[:devices])
        state = jax.device_put(start, parallel.replicated(mesh))
        return jax.device_get(compile_step(step, mesh)(state, parallel.to_global(batch, mesh)))

    return start, take


@pytest.fixture(scope="module")
def on_one_device(step_on):
    return step_on[1](1)


def test_one_and_eight_devices_have_the_same_statistics_and_gradients(step_on, on_one_device):
    (one, metrics), (eight, metrics_8) = on_one_device, step_on[1](8)
    for name, value in metrics.items():
        np.testing.assert_allclose(value, metrics_8[name], rtol=1e-5, atol=1e-5, err_msg=name)
    moved = jax.tree.map(lambda old, new: np.abs(old - new).max(), step_on[0].statistics, one.statistics)
    assert min(jax.tree.leaves(moved)) > 1e-3
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), one.statistics, eight.statistics)
    moments, moments_8 = (state.optimizer[1][0].mu for state in (one, eight))
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(moments))
    assert largest > 1e-3
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5 * largest, rtol=1e-4), moments, moments_8
    )


def test_averaged_weights_are_evaluated_with_averaged_statistics(step_on, on_one_device):
    before, (after, _) = step_on[0], on_one_device
    followed = jax.tree.map(
        lambda old, new: DECAY * old + (1 - DECAY) * new, before.average_statistics, after.statistics
    )
    jax.tree.map(
        lambda e, a: np.testing.assert_allclose(e, a, rtol=1e-5, atol=1e-7),
        followed,
        after.evaluated["batch_stats"],
    )
    apart = jax.tree.map(lambda a, b: np.abs(a - b).max(), after.average_statistics, after.statistics)
    assert min(jax.tree.leaves(apart)) > 1e-4


def test_invalid_frames_enter_no_statistics_of_the_detector():
    model = models.create("detector", spatial=RESNET, frequency={"widths": (8,)}, motion={"cell": 4})
    rng = np.random.default_rng(0)
    frames = rng.random((3, 4, 32, 32, 3)).astype(np.float32)
    valid = np.array([[1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
    variables = random_variables(model, frames)

    @jax.jit
    def train(frames, valid):
        (logit, _), updated = model.apply(
            variables, Clip(frames, valid=valid), train=True, mutable=["batch_stats"]
        )
        return logit, updated

    spoilt = np.where(valid[..., None, None, None], frames, 9 - 20 * frames).astype(np.float32)
    jax.tree.map(np.testing.assert_array_equal, train(frames, valid), train(spoilt, valid))
    everything = train(frames, np.ones_like(valid))[0]
    assert np.abs(train(frames, valid)[0] - everything).min() > 1e-4
