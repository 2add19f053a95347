"""Kernels and positions of image models in video models: a clip of one repeated image gets what the image gets."""

import jax
import numpy as np
import pytest
from flax import linen as nn

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published.inflation import clip_positions, inflate
from fakedetect_jax.models.published.vivit import ViViT
from fakedetect_jax.models.published.vivit_encoders import ENCODERS

rng = np.random.default_rng(0)
KERNEL = rng.normal(size=(3, 5, 4, 6))
IMAGES = rng.normal(size=(2, 9, 8, 4))
STRIDES = (2, 1)
SMALL = {"layers": 1, "heads": 2, "dim": 16, "tubelet": (2, 4, 4)}
FRAMES = np.zeros((1, 6, 8, 12, 3), np.float32)
STEPS, PLACES = 3, 6


@pytest.fixture(autouse=True)
def exact_sums():
    """Double precision: how float32 rounds depends on the processor."""
    with jax.enable_x64(True):
        yield


def _image_response(images):
    conv = nn.Conv(6, (3, 5), strides=STRIDES, use_bias=False)
    return conv.apply({"params": {"kernel": KERNEL}}, images)


@pytest.mark.parametrize("how", ["repeat", "centre"])
@pytest.mark.parametrize("frames", [1, 3, 4])
def test_a_repeated_image_gets_the_image_response(how, frames):
    kernel = inflate(KERNEL, frames, how=how)
    assert kernel.shape == (frames, *KERNEL.shape)
    conv = nn.Conv(6, (frames, 3, 5), (1, *STRIDES), [(0, 0), (1, 1), (2, 2)], use_bias=False)
    clips = np.repeat(IMAGES[:, None], frames + 2, axis=1)
    response = jax.jit(conv.apply)({"params": {"kernel": kernel}}, clips)
    assert response.shape[1] == 3
    expected = np.repeat(np.asarray(_image_response(IMAGES))[:, None], 3, axis=1)
    np.testing.assert_allclose(response, expected, atol=1e-12)


def test_centre_treats_every_frame_of_any_clip_as_an_image():
    clips = rng.normal(size=(2, 5, 9, 8, 4))
    conv = nn.Conv(6, (3, 3, 5), (1, *STRIDES), use_bias=False)
    response = conv.apply({"params": {"kernel": inflate(KERNEL, 3, how="centre")}}, clips)
    expected = _image_response(clips.reshape(10, 9, 8, 4)).reshape(response.shape)
    np.testing.assert_allclose(response, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"), [({"frames": 0}, "frames=0"), ({"frames": 3, "how": "mean"}, "repeat, centre")]
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        inflate(KERNEL, **options)


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
