"""The temporal transformer: masks, positions and degenerate clips."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax.models.layers import masked_mean
from fakedetect_jax.models.temporal.transformer import TemporalTransformer


@pytest.fixture(scope="module")
def encoder():
    module = TemporalTransformer(layers=2, heads=2, dim=16, max_frames=6)
    features = jax.random.normal(jax.random.key(0), (3, 5, 8))
    variables = jax.jit(module.init)(jax.random.key(1), features, jnp.ones((3, 5), bool))
    # Initial positions are too small to tell order from rounding.
    return module, jax.tree.map(lambda leaf: leaf * 3, variables), features


def test_masked_mean_equals_numpy_and_is_zero_without_frames():
    values = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    valid = np.array([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], bool)
    expected = [values[0].mean(0), values[1, [1, 3]].mean(0), np.zeros(2)]
    np.testing.assert_allclose(masked_mean(jnp.asarray(values), jnp.asarray(valid)), expected, rtol=1e-6)


def test_masked_frames_at_the_end_equal_a_shorter_clip(encoder):
    module, variables, features = encoder
    valid = jnp.arange(5)[None] < jnp.full((3, 1), 3)
    poisoned = features.at[:, 3:].set(jnp.nan)
    short = module.apply(variables, features[:, :3], jnp.ones((3, 3), bool))
    np.testing.assert_allclose(module.apply(variables, poisoned, valid), short, atol=1e-5)


def test_order_of_frames_matters(encoder):
    module, variables, features = encoder
    valid = jnp.ones((3, 5), bool)
    forward, backward = (module.apply(variables, f, valid) for f in (features, features[:, ::-1]))
    assert float(abs(forward - backward).max()) > 1e-2


def test_a_clip_without_valid_frames_is_finite_with_finite_gradients(encoder):
    module, variables, features = encoder
    none = jnp.zeros((3, 5), bool)
    gradient = jax.jit(jax.grad(lambda v: module.apply(v, features, none).sum()))(variables)
    assert np.isfinite(module.apply(variables, features, none)).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_too_long_clips_and_uneven_heads_are_refused(encoder):
    module, variables, _ = encoder
    with pytest.raises(ValueError, match="max_frames=6"):
        module.apply(variables, jnp.ones((1, 7, 8)), jnp.ones((1, 7), bool))
    with pytest.raises(ValueError, match="multiple of heads=3"):
        TemporalTransformer(heads=3, dim=16)
