"""Shares of a clip, and the pooling that all models use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen as nn

from fakedetect_jax.models.layers import max_pool
from fakedetect_jax.models.published.steps import spread, valid_steps


@pytest.mark.parametrize(("frames", "steps"), [(6, 6), (6, 3), (7, 2), (5, 1), (9, 4)])
def test_steps_share_the_frames_out_in_order(frames, steps):
    shares = np.arange(frames) * steps // frames
    values = np.random.default_rng(0).normal(size=(2, steps)).astype(np.float32)
    np.testing.assert_allclose(spread(jnp.asarray(values), frames), values[:, shares], rtol=1e-6)
    for frame in range(frames):
        expected = np.arange(steps) == shares[frame]
        np.testing.assert_array_equal(valid_steps(jnp.arange(frames)[None] == frame, steps)[0], expected)


@pytest.mark.parametrize(
    ("window", "strides", "padding"),
    [
        ((1, 2, 2), None, None),
        ((2, 2, 2), None, (0, 1, 1)),
        ((3, 3, 3), (2, 1, 2), "SAME"),
        ((4, 1, 3), (3, 2, 1), "SAME"),
    ],
)
def test_pooling_and_its_gradient_are_those_of_a_window_maximum(window, strides, padding):
    rng = np.random.default_rng(0)
    x = (rng.permutation(2 * 7 * 6 * 9 * 2).reshape(2, 7, 6, 9, 2) - 700).astype(np.float32)
    amounts = padding if isinstance(padding, str) else [(p, p) for p in padding or (0, 0, 0)]

    def native(x):
        return nn.max_pool(x, window, strides or window, amounts)

    def ours(x):
        return max_pool(x, window, strides, padding)

    expected = jax.jit(native)(x)
    np.testing.assert_array_equal(jax.jit(ours)(x), expected)
    cotangent = rng.normal(size=expected.shape).astype(np.float32)
    got, want = (jax.jit(lambda x, f=f: jax.vjp(f, x)[1](cotangent)[0])(x) for f in (ours, native))
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_pooling_works_on_images_as_torch_does():
    x = np.random.default_rng(0).normal(size=(2, 7, 10, 3)).astype(np.float32)
    expected = torch.nn.functional.max_pool2d(torch.tensor(x.transpose(0, 3, 1, 2)), 3, 2, 1)
    got = max_pool(jnp.asarray(x), (3, 3), (2, 2), (1, 1))
    np.testing.assert_array_equal(got, expected.numpy().transpose(0, 2, 3, 1))
