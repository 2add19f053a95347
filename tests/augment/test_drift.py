"""A drifting source: how far it wanders, and what stays in place."""

import dataclasses

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from fakedetect_jax.augment import SelfBlendRecipe, self_blend
from fakedetect_jax.augment.extensions import drift as add_drift
from fakedetect_jax.augment.mask import LOOSE_RISE, Motion
from fakedetect_jax.augment.recipe import draw

from .conftest import face_landmarks

FRAMES = 6
# The drift alone tells source and target apart.
ONLY_DRIFT = SelfBlendRecipe(
    size=128,
    temporal="drift",
    drift=(0.02, 0.02),
    **{
        field.name: 0.0
        for field in dataclasses.fields(SelfBlendRecipe)
        if field.name.startswith(("source_", "shared_"))
    },
    change_source=1.0,
    flip=0.0,
    margin=(0.2, 0.2),
    downscale=0.0,
    sharpen_alpha=(0.0, 0.0),
    translate=(0.0, 0.0),
    scale=(1.0, 1.0),
    hulls=(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    blend_ratios=(1.0,),
    jpeg=0.0,
)


def paths(drift, count=3000):
    recipe = SelfBlendRecipe(drift=drift)
    still = Motion(centre=jnp.array([60.0, 60.0]), scale=jnp.array([1.1, 0.9]), shift=jnp.array([2.0, -3.0]))

    def one(key):
        return add_drift(draw(key, FRAMES), still, face_width=jnp.float32(100.0), recipe=recipe)

    moved = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), count))
    shift = (np.asarray(moved.shift) - [2.0, -3.0]) / 100.0
    zoom = np.log(np.asarray(moved.scale) / [1.1, 0.9])
    return np.concatenate([shift, zoom], axis=-1)


def test_paths_have_the_strength_of_the_recipe_in_every_frame():
    path = paths((0.01, 0.01))
    assert path.shape == (3000, FRAMES, 4)
    np.testing.assert_allclose(path.std(axis=0), 0.01, rtol=0.06)
    np.testing.assert_allclose(path.mean(axis=0), 0.0, atol=0.001)


def test_strength_is_uniform_in_its_logarithm():
    # The mean square over a log-uniform strength is (high^2 - low^2) / (2 ln(high / low)).
    low, high = 0.002, 0.02
    expected = (high**2 - low**2) / (2 * np.log(high / low))
    assert np.square(paths((low, high))).mean() == pytest.approx(expected, rel=0.06)


def test_paths_reach_from_jitter_to_a_slow_slide():
    path = paths((0.01, 0.01))
    steps = np.square(np.diff(path, axis=1)).mean(axis=(1, 2)) / np.square(path).mean()
    # Independent frames have a mean squared step of 2 variances; a slide a small part of one.
    assert np.quantile(steps, 0.05) < 0.3
    assert np.quantile(steps, 0.95) > 1.5


@pytest.fixture(scope="module")
def still_clip():
    # Smooth enough that kinds of interpolation hardly differ.
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(256, 256, 3)), (0, 0), 6) * 8
    texture = np.clip(0.5 + noise, 0, 1).astype(np.float32)
    return np.stack([texture] * FRAMES), np.stack([face_landmarks()] * FRAMES)


def test_only_the_source_moves_and_by_the_drawn_path(still_clip):
    frames, landmarks = still_clip
    key = jax.random.key(5)
    blend = jax.jit(lambda k, f, p: self_blend(k, f, p, recipe=ONLY_DRIFT))(key, frames, landmarks)
    real, fake = (np.asarray(part)[..., 1] for part in (blend.real, blend.fake))
    np.testing.assert_allclose(real, np.broadcast_to(real[0], real.shape), atol=1e-6)
    mask = np.asarray(blend.mask)[..., 0]
    np.testing.assert_allclose(mask, np.broadcast_to(mask[0], mask.shape), atol=1e-6)
    np.testing.assert_allclose(fake[mask == 0], real[mask == 0], atol=1e-6)

    # Where only the source shows, scipy finds its pixels in the real frame at the places that the path gives.
    size = np.ptp(landmarks[0, :68], axis=0)
    extent = size * 128 / (size.max() * 1.4)
    fixed_point = 63.5 - np.array([0.0, LOOSE_RISE]) * extent
    still = Motion(jnp.asarray(fixed_point), jnp.ones(2), jnp.zeros(2))
    moved = add_drift(draw(key, FRAMES), still, face_width=jnp.float32(extent[0]), recipe=ONLY_DRIFT)
    rows, columns = np.nonzero(mask[0] > 0.999)
    assert len(rows) > 100
    for t in range(FRAMES):
        x, y = (
            fixed_point[axis] + (at - fixed_point[axis] - moved.shift[t, axis]) / moved.scale[t, axis]
            for axis, at in ((0, columns), (1, rows))
        )
        expected = scipy.ndimage.map_coordinates(real[t], [y, x], order=3)
        error = np.abs(fake[t][rows, columns] - expected).mean()
        assert error < 0.1 * np.abs(real[t][rows, columns] - expected).mean()


def test_one_end_of_zero_is_refused():
    with pytest.raises(ValueError, match="drift"):
        SelfBlendRecipe(drift=(0.0, 0.1))
