"""Weights for other inputs against torch's interpolation and what a convolution then computes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.weights import WeightsError
from fakedetect_jax.weights.adapt import adapt_first_convolution, resize_positions


@pytest.mark.parametrize("grid", [(5, 7), (2, 3), (4, 6), (8, 12)])
def test_positions_are_resized_as_torch_does(grid):
    positions = np.random.default_rng(0).normal(size=(2 + 4 * 6, 5)).astype(np.float32)
    resized = resize_positions(positions, grid, image_grid=(4, 6), leading=2)
    places = torch.tensor(positions[2:].reshape(1, 4, 6, 5)).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(places, grid, mode="bicubic", antialias=True)
    expected = expected[0].permute(1, 2, 0).reshape(-1, 5).numpy()
    np.testing.assert_array_equal(resized[:2], positions[:2])
    # torch's cubic reads the border's value beyond it, and ours leaves it out: they agree within.
    inner = np.zeros(grid, bool)
    inner[2:-2, 2:-2] = True
    if grid == (4, 6):
        inner[:] = True
    np.testing.assert_allclose(resized[2:][inner.ravel()], expected[inner.ravel()], atol=1e-5)


def test_positions_of_another_grid_than_told_are_refused():
    with pytest.raises(
        WeightsError, match=r"17 positions do not match 1 leading tokens and image_grid=\(4, 5\)"
    ):
        resize_positions(np.zeros((17, 3)), (2, 2), image_grid=(4, 5))


@given(times=st.integers(1, 4), seed=st.integers(0, 9))
def test_repeated_images_give_what_the_image_gave(times, seed):
    rng = np.random.default_rng(seed)
    kernel, patch = rng.normal(size=(3, 3, 3, 4)), rng.normal(size=(3, 3, 3))
    before = np.einsum("hwc,hwco->o", patch, kernel)
    adapted = adapt_first_convolution(kernel, 3 * times)
    np.testing.assert_allclose(np.einsum("hwc,hwco->o", np.tile(patch, times), adapted), before)


def test_a_grey_image_gives_what_it_gave_in_colour():
    rng = np.random.default_rng(0)
    kernel, grey = rng.normal(size=(2, 3, 3, 3, 4)), rng.normal(size=(2, 3, 3, 1))
    before = np.einsum("thwc,thwco->o", np.repeat(grey, 3, -1), kernel)
    np.testing.assert_allclose(np.einsum("thwc,thwco->o", grey, adapt_first_convolution(kernel, 1)), before)


def test_any_number_of_channels_keeps_the_size_of_what_comes_out():
    kernel = np.ones((1, 1, 3, 2), np.float32)
    for channels in (1, 2, 4, 5, 12):
        adapted = adapt_first_convolution(kernel, channels)
        assert adapted.shape == (1, 1, channels, 2)
        assert adapted.dtype == np.float32
        np.testing.assert_allclose(adapted.sum(axis=2), 3, rtol=1e-6)
    assert adapt_first_convolution(kernel, 3) is kernel
    with pytest.raises(WeightsError, match="channels=0"):
        adapt_first_convolution(kernel, 0)
