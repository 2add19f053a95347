"""The motion branch: what it measures, and which frames it looks at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from fakedetect_jax.models.motion import MotionBranch, _energy, _of_frames


def _moved(texture, shift):
    return scipy.ndimage.shift(texture, shift, order=3, mode="wrap")


def test_a_region_that_drifts_against_the_rest_stands_out_and_motion_of_the_whole_does_not():
    inside = np.zeros((8, 8), bool)
    inside[2:6, 2:6] = True

    def contrast(first, second):
        """How much more the inside moves than the outside, in log energy."""
        pictures = [
            jnp.asarray(p, jnp.float32)[None, None, ..., None] for p in (second - first, second + first)
        ]
        change, texture = (np.asarray(_energy(picture * 10, 8))[0, ..., 0] for picture in pictures)
        return (change - texture)[inside].mean() - (change - texture)[~inside].mean()

    pans, drifts = [], []
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(size=(64, 64))
        texture = scipy.ndimage.gaussian_filter(noise, 1.5, mode="wrap")
        texture[:32] *= 4  # contrast alone must not look like motion
        pan = _moved(texture, (0.4, 0.0))
        drifting = pan.copy()
        drifting[16:48, 16:48] = _moved(texture, (0.4, 0.8))[16:48, 16:48]
        pans.append(contrast(texture, pan))
        drifts.append(contrast(texture, drifting))
    assert abs(np.mean(pans)) < 0.1
    # Displaced by sqrt(0.4^2 + 0.8^2) instead of 0.4 pixels: five times the energy.
    assert np.mean(drifts) == pytest.approx(np.log(5), abs=0.3)


def test_a_frame_has_the_mean_of_its_pairs_of_valid_frames():
    pairs = np.array([[[1.0], [10.0], [100.0]]] * 4, np.float32)
    valid = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 1], [1, 0, 0, 0]], bool)
    expected = [[1, 5.5, 55, 100], [1, 1, 0, 0], [0, 0, 100, 100], [0, 0, 0, 0]]
    np.testing.assert_allclose(_of_frames(jnp.asarray(pairs), jnp.asarray(valid))[..., 0], expected)


def test_frames_in_reverse_give_the_features_in_reverse():
    module = MotionBranch(widths=(8, 8), filters=2, cell=4)
    clips = jax.random.uniform(jax.random.key(0), (2, 4, 16, 16, 3))
    valid = jnp.ones((2, 4), bool)
    variables = jax.jit(module.init)(jax.random.key(1), clips, valid)
    apply = jax.jit(module.apply)
    forward, backward = apply(variables, clips, valid), apply(variables, clips[:, ::-1], valid)
    np.testing.assert_allclose(forward, backward[:, ::-1], atol=1e-5)
    assert np.ptp(forward, axis=1).max() > 1e-3


def test_a_clip_of_one_frame_is_refused():
    with pytest.raises(ValueError, match=r"clip\.frames"):
        jax.eval_shape(
            MotionBranch().init, jax.random.key(0), jnp.zeros((1, 1, 16, 16, 3)), jnp.ones((1, 1), bool)
        )


@pytest.mark.parametrize("options", [{"widths": ()}, {"widths": (9,)}, {"filters": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        MotionBranch(**options)
