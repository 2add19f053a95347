"""Inflated kernels: a clip of one repeated image gets what the image gets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from fakedetect_jax.models.video.inflation import inflate

rng = np.random.default_rng(0)
KERNEL = rng.normal(size=(3, 5, 4, 6))
IMAGES = rng.normal(size=(2, 9, 8, 4))
STRIDES = (2, 1)


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
    kernel = inflate(jnp.asarray(KERNEL), frames, how=how)
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
    response = conv.apply({"params": {"kernel": inflate(jnp.asarray(KERNEL), 3, how="centre")}}, clips)
    expected = _image_response(clips.reshape(10, 9, 8, 4)).reshape(response.shape)
    np.testing.assert_allclose(response, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"), [({"frames": 0}, "frames=0"), ({"frames": 3, "how": "mean"}, "repeat, centre")]
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        inflate(jnp.asarray(KERNEL), **options)
