import re

import jax
import numpy as np
import pytest

from fakedetect_jax import experiment, parallel
from fakedetect_jax.data.pipeline import train_batches
from fakedetect_jax.training.state import create_state
from fakedetect_jax.training.step import compile_step
from tests import tiny_config
from tests.conftest import clip_spec, make_videos
from tests.models.published.parity import EXACT

BATCH = 8


@pytest.fixture(scope="module")
def parts():
    """A step with everything in it: self-blending, both branches, the temporal transformer, what is drawn at random."""
    config = tiny_config.get_config()
    config.model.options.frequency = {"widths": (8, 8)}
    config.model.options.spatial.drop_path = 0.3
    config.model.options.dropout = 0.1
    model = experiment.make_model(config)
    config.seed, config.optimizer.ema_decay = 3, 0.9
    # JPEG rounds: where a coefficient lies halfway, the last bit of a sum decides over a whole step of it.
    config.input.recipe.jpeg = 0.0
    optimizer = experiment.make_optimizer(config)
    step = experiment.make_step(config, model, optimizer)
    state = create_state(model, optimizer, seed=0, frames=2, size=32)
    # Past the warm-up's first step, whose learning rate is 0.
    state = state.replace(step=state.step + 2)
    videos = make_videos([4] * 10)
    batch = next(train_batches(videos, clip_spec(), batch_size=BATCH, steps=1, seed=0))
    batch["weight"] = np.array([1, 1, 1, 0, 1, 1, 1, 1], np.float32)
    return step, jax.device_get(state), batch


@pytest.fixture(scope="module")
def on_one_and_eight(parts):
    """{devices: (compiled program, its outputs on the host, the state that it was given)} for 1 and for 8."""
    step, on_host, batch = parts
    outcome = {}
    for devices in (1, 8):
        mesh = parallel.make_mesh(jax.devices()[:devices])
        state = jax.device_put(on_host, parallel.replicated(mesh))
        spread = parallel.to_global(batch, mesh)
        program = compile_step(step, mesh).lower(state, spread).compile(EXACT)
        outcome[devices] = program.as_text(), jax.device_get(program(state, spread)), state
    return outcome


def test_one_and_eight_devices_agree(on_one_and_eight):
    (state, metrics), (state_8, metrics_8) = on_one_and_eight[1][1], on_one_and_eight[8][1]
    assert metrics["loss"] > 0
    for name in metrics:
        # On one device, parameters that differ in half a unit in the last place move the gradient's norm by 2.4e-5.
        rtol = 6e-5 if name == "gradient_norm" else 1e-5
        np.testing.assert_allclose(metrics[name], metrics_8[name], atol=1e-5, rtol=rtol, err_msg=name)
    # The first moment after one step is the clipped gradient times 0.1.
    gradients, gradients_8 = state.optimizer[1][0].mu, state_8.optimizer[1][0].mu
    largest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(gradients))
    assert largest > 1e-3
    jax.tree.map(lambda one, eight: np.testing.assert_allclose(one, eight, atol=1e-5), gradients, gradients_8)


def test_nothing_but_sums_crosses_devices(on_one_and_eight):
    text = on_one_and_eight[8][0]
    found = set(re.findall(r"\b(all-gather|all-to-all|collective-permute|all-reduce|reduce-scatter)\b", text))
    assert found == {"all-reduce"}


@pytest.mark.parametrize("devices", [1, 8])
def test_the_state_is_donated(on_one_and_eight, devices):
    *_, given = on_one_and_eight[devices]
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(given))


def test_the_average_follows_the_parameters(on_one_and_eight, parts):
    before, after = parts[1], on_one_and_eight[1][1][0]
    decay = min(0.9, (1 + 2) / (10 + 2))
    expected = jax.tree.map(lambda old, new: decay * old + (1 - decay) * new, before.average, after.params)
    jax.tree.map(lambda e, a: np.testing.assert_allclose(e, a, atol=1e-6), expected, after.average)
