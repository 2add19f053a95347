"""Initial values of ViViT from an image ViT's."""

import jax
import numpy as np
import pytest

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.video.vivit import ViViT
from fakedetect_jax.models.video.vivit_encoders import ENCODERS
from fakedetect_jax.models.video.vivit_init import clip_positions, tubelet_kernel

SMALL = {"layers": 1, "heads": 2, "dim": 16, "tubelet": (2, 4, 4)}
FRAMES = np.zeros((1, 6, 8, 12, 3), np.float32)
STEPS, PLACES = 3, 6


def test_central_frame_initialisation_sees_the_image_models_patches_of_central_frames():
    rng = np.random.default_rng(0)
    patch = rng.normal(size=(4, 4, 3, 5)).astype(np.float32)
    central, average = (tubelet_kernel(patch, 2, how=how) for how in ("central", "average"))
    assert central.shape == (2, 4, 4, 3, 5)
    np.testing.assert_array_equal(central[1], patch)
    assert not central[0].any()
    np.testing.assert_allclose(average, np.stack([patch, patch]) / 2)
    with pytest.raises(ValueError, match=r"'first'.*central"):
        tubelet_kernel(patch, 2, how="first")


@pytest.mark.parametrize("attention", ENCODERS)
def test_positions_of_an_image_model_fit_every_encoder(attention):
    positions = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
    module = ViViT(attention, **SMALL)
    shapes = jax.eval_shape(module.init, jax.random.key(0), Clip(FRAMES))["params"]["encoder"]
    part = {"spacetime": "encoder", "factorised_encoder": "spatial"}.get(attention)
    wanted = (shapes[part] if part else shapes)["position"].shape
    got = clip_positions(positions, attention, steps=STEPS, grid=(2, 3), image_grid=(2, 2))
    assert got.shape == wanted
    places = got[1:] if part else got.reshape((-1, 16))
    if part:
        np.testing.assert_array_equal(got[0], positions[0])
    first = places[:PLACES].reshape((2, 3, 16))
    np.testing.assert_allclose(first[:, [0, 2]], positions[1:].reshape((2, 2, 16)), atol=1e-6)
    np.testing.assert_allclose(first[:, 1], positions[1:].reshape((2, 2, 16)).mean(axis=1), atol=1e-6)
    for step in range(len(places) // PLACES):
        np.testing.assert_array_equal(places[step * PLACES :][:PLACES], places[:PLACES])
    with pytest.raises(ValueError, match=r"image_grid of \(3, 3\)"):
        clip_positions(positions, attention, steps=STEPS, grid=(2, 3), image_grid=(3, 3))
