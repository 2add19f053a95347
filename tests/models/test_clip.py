"""The input of every model: defaults, its way through jax, and the frames that do not count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax.models.clip import HALF, IMAGENET, Clip, clip_shapes, fill_invalid, normalise

RNG = np.random.default_rng(0)
FRAMES = RNG.random((4, 6, 2, 3, 3)).astype(np.float32)


def test_all_frames_count_unless_told_otherwise():
    np.testing.assert_array_equal(Clip(FRAMES).mask, np.ones((4, 6), bool))
    valid = np.arange(6)[None] < np.arange(4)[:, None]
    np.testing.assert_array_equal(Clip(FRAMES, valid=valid).mask, valid)


def test_only_the_frames_go_by_place():
    with pytest.raises(TypeError, match="positional"):
        Clip(FRAMES, np.zeros((4, 6, 81, 2)))


def test_a_clip_is_taken_from_a_batch_by_names():
    batch = {name: RNG.random(3) for name in ("label", "valid", "timestamps", "landmarks", "frames")}
    clip = Clip.from_batch(batch)
    assert clip.frames is batch["frames"]
    assert clip.landmarks is batch["landmarks"]
    assert clip.timestamps is batch["timestamps"]
    assert clip.valid is batch["valid"]
    with pytest.raises(KeyError, match="valid"):
        Clip.from_batch({name: value for name, value in batch.items() if name != "valid"})


def test_jax_takes_it_apart_and_puts_it_together():
    shapes = clip_shapes(5, 32)
    assert [leaf.shape for leaf in jax.tree.leaves(shapes)] == [(1, 5, 32, 32, 3), (1, 5, 81, 2), (1, 5)]
    assert shapes.valid is None
    clip = jax.jit(lambda clip: clip.replace(frames=2 * clip.frames))(Clip(FRAMES))
    np.testing.assert_array_equal(clip.frames, 2 * FRAMES)
    assert clip.landmarks is None


@pytest.mark.parametrize("statistics", [IMAGENET, HALF])
def test_colours_are_normalised(statistics):
    got = np.asarray(normalise(jnp.asarray(FRAMES), statistics))
    for colour, (mean, deviation) in enumerate(zip(*statistics, strict=True)):
        np.testing.assert_allclose(got[..., colour] * deviation + mean, FRAMES[..., colour], atol=1e-6)


def test_frames_that_do_not_count_become_the_nearest_that_does():
    valid = np.array([[0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)
    sources = [[1, 1, 1, 4, 4, 4], [5] * 6, list(range(6))]
    spoilt = np.where(valid[..., None, None, None], FRAMES, np.nan)
    filled, mask = jax.jit(fill_invalid)(Clip(spoilt, valid=valid))
    for clip, source in enumerate(sources):
        np.testing.assert_array_equal(filled[clip], FRAMES[clip, source])
    np.testing.assert_array_equal(filled[3], 0)
    np.testing.assert_array_equal(mask, valid)
    # Two at the same distance: the earlier one.
    between, _ = fill_invalid(Clip(FRAMES[:1, :3], valid=np.array([[1, 0, 1]], bool)))
    np.testing.assert_array_equal(between[0, 1], FRAMES[0, 0])
    same, mask = fill_invalid(Clip(FRAMES))
    np.testing.assert_array_equal(same, FRAMES)
    assert mask.shape == (4, 6)
    assert mask.all()
