"""What validation makes of logits, and in which order it shows the clips."""

import jax
import numpy as np
import pytest
from flax import linen as nn
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from fakedetect_jax import parallel
from fakedetect_jax.data.pipeline import evaluation_batches
from fakedetect_jax.training.inputs import cropped
from fakedetect_jax.training.state import TrainState
from fakedetect_jax.training.validation import make_validation_step, validate
from tests.conftest import clip_spec, make_videos

STATE = TrainState(step=0, params={}, average={}, statistics={}, average_statistics={}, optimizer=())


def values_of(logits, labels, weights=None):
    weights = np.ones(len(logits)) if weights is None else weights
    outputs = np.asarray(logits, np.float32), np.asarray(labels), np.asarray(weights, np.float32)
    batch = {"place": np.zeros(8, np.int32)}
    return validate(lambda *_: outputs, STATE, [batch], parallel.make_mesh())


def test_confident_errors_on_reals_and_on_fakes_cost_the_same():
    # Float32 probabilities would give 36 and 20.
    real, fake = values_of([20, -20, 20], [0, 0, 1]), values_of([-20, 20, -20], [1, 1, 0])
    assert real["log_loss"] == fake["log_loss"]
    np.testing.assert_allclose(real["log_loss"], (20 + 3 * np.log1p(np.exp(-20.0))) / 3, rtol=1e-12)


def test_confident_clips_are_told_apart():
    logits, labels = np.array([17.0, 18, 30, 40, 200, -200]), np.array([0, 1, 0, 1, 1, 0])
    values = values_of(logits, labels)
    np.testing.assert_allclose((values["auc"], roc_auc_score(labels, logits)), 8 / 9)
    assert len(np.unique(expit(logits.astype(np.float32)))) < len(logits)
    assert np.isfinite(values["log_loss"])


def test_values_agree_with_probabilities_where_these_are_exact():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, 50).astype(np.float32), rng.integers(0, 2, 50)
    weights = rng.integers(0, 2, 50)
    values = values_of(logits, labels, weights)
    counted = weights > 0
    fake, label = expit(logits.astype(np.float64))[counted], labels[counted]
    expected = -np.mean(np.log(np.where(label == 1, fake, 1 - fake)))
    np.testing.assert_allclose(values["log_loss"], expected, rtol=1e-12)
    np.testing.assert_allclose(values["accuracy"], np.mean((fake >= 0.5) == label))
    assert values["negative_log_loss"] == -values["log_loss"]


def test_neighbours_show_different_people_with_several_clips_a_track():
    batches = evaluation_batches(make_videos([9] * 8), clip_spec(interval=0.18), batch_size=16)
    mesh, seen = parallel.make_mesh(), []

    def step(_, batch):
        seen.append(jax.device_get(batch))
        return np.zeros(2, np.float32), np.array([0, 1]), np.ones(2, np.float32)

    validate(step, STATE, batches, mesh)
    (batch,) = seen
    assert sorted(batch["place"]) == list(range(16))
    pairs = batch["identity"].reshape(-1, 2)
    assert (pairs[:, 0] != pairs[:, 1]).all()


class Brightness(nn.Module):
    @nn.compact
    def __call__(self, clip, **_):
        return 1000 * clip.frames.mean(axis=(1, 2, 3, 4)), {}


@pytest.mark.parametrize("devices", [1, 8])
def test_the_step_returns_logits(devices):
    mesh = parallel.make_mesh(jax.devices()[:devices])
    batch = next(evaluation_batches(make_videos([9] * 8), clip_spec(), batch_size=8))
    step = make_validation_step(Brightness(), cropped(size=16, margin=0.1), seed=0, mesh=mesh)
    logit, label, weight = step({}, parallel.to_global(batch, mesh))
    assert logit.min() > 100
    np.testing.assert_array_equal((label, weight), (batch["label"], batch["weight"]))
