"""Properties of a pair, whatever the key, the landmarks and the way it is run."""

import dataclasses

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fakedetect_jax import parallel
from fakedetect_jax.augment import OtherFace, SelfBlendRecipe, augment_clip, face_crop, self_blend
from fakedetect_jax.augment.mask import blend_mask, scale_motion
from fakedetect_jax.augment.recipe import draw, reference

RECIPE = SelfBlendRecipe(size=48)
SINGLE = jax.jit(lambda key, frames, landmarks: self_blend(key, frames, landmarks, recipe=RECIPE))


def batched(recipe):
    return jax.jit(
        jax.vmap(
            lambda key, frames, landmarks, valid: self_blend(
                key, frames, landmarks, recipe=recipe, valid=valid
            )
        )
    )


BATCHED = batched(RECIPE)
# JPEG rounds: for a coefficient halfway between two steps, the last bit of a sum decides a whole step.
WITHOUT_JPEG = dataclasses.replace(RECIPE, jpeg=0.0)
SMOOTH = batched(WITHOUT_JPEG)


@pytest.fixture(scope="module")
def batch():
    from .conftest import face_landmarks, smooth_image

    frames = np.stack([np.stack([smooth_image(i), smooth_image(i)]) for i in range(8)])
    landmarks = np.stack([[face_landmarks(), face_landmarks((131.0, 133.0))]] * 8)
    valid = np.ones((8, 2), bool)
    landmarks[3] = 100.0
    landmarks[4] += 1000.0
    landmarks[5, 0, 40] = np.nan
    landmarks[6] *= 1e20
    valid[7, 1] = False
    return {"frames": frames, "landmarks": landmarks.astype(np.float32), "valid": valid}


@pytest.fixture(scope="module")
def blends(batch):
    keys = jax.random.split(jax.random.key(3), 8)
    return jax.tree.map(np.asarray, BATCHED(keys, *batch.values()))


@pytest.fixture(scope="module")
def smooth_blends(batch):
    keys = jax.random.split(jax.random.key(3), 8)
    return jax.tree.map(np.asarray, SMOOTH(keys, *batch.values()))


def assert_same_pair(ours, theirs):
    for name in ("mask", "real", "fake"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-5, err_msg=name)


def test_a_pair_has_the_promised_shapes_and_ranges(blends):
    assert blends.real.shape == blends.fake.shape == (8, 2, 48, 48, 3)
    assert blends.mask.shape == (8, 2, 48, 48, 1)
    assert blends.forged.shape == (8, 2)
    for value in blends[:3]:
        assert value.dtype == np.float32
        assert value.min() >= 0.0
        assert value.max() <= 1.0
    assert np.abs(blends.fake - blends.real)[:3].max(axis=(1, 2, 3, 4)).min() > 0.02


def test_a_frame_without_usable_landmarks_is_left_alone(blends):
    for example, frame in ((3, 0), (3, 1), (4, 0), (4, 1), (5, 0), (6, 0), (6, 1), (7, 1)):
        assert blends.mask[example, frame].max() == 0.0
        np.testing.assert_array_equal(blends.fake[example, frame], blends.real[example, frame])
        assert not blends.forged[example, frame]
    assert blends.forged.sum() == 8
    assert blends.mask[5, 1].max() > 0.2
    assert blends.mask[7, 0].max() > 0.2


def test_the_same_key_gives_the_same_pair_alone_and_vmapped(batch, smooth_blends):
    keys = jax.random.split(jax.random.key(3), 8)
    single = jax.jit(lambda key, frames, landmarks: self_blend(key, frames, landmarks, recipe=WITHOUT_JPEG))
    for i in (0, 1, 2, 4):
        alone = single(keys[i], batch["frames"][i], batch["landmarks"][i])
        assert_same_pair(alone, jax.tree.map(lambda value, i=i: value[i], smooth_blends))


def test_the_same_key_gives_the_same_pair_sharded_over_eight_devices(batch, smooth_blends):
    split = parallel.split_by_example(parallel.make_mesh())
    arguments = (jax.random.split(jax.random.key(3), 8), *batch.values())
    program = jax.jit(SMOOTH, in_shardings=split, out_shardings=split).lower(*arguments).compile()
    for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter"):
        assert word not in program.as_text(), word
    blend = program(*jax.device_put(arguments, split))
    assert len(blend.fake.sharding.device_set) == 8
    assert_same_pair(blend, smooth_blends)


def test_temporal_modes_differ_in_what_they_share(batch):
    frames = np.stack([batch["frames"][0][0]] * 3)
    landmarks = np.stack([batch["landmarks"][0][0]] * 3)

    def spread(temporal):
        recipe = dataclasses.replace(RECIPE, temporal=temporal, drift=(0.03, 0.03), jpeg=0.0)
        blend = jax.jit(lambda k: self_blend(k, frames, landmarks, recipe=recipe))(jax.random.key(4))
        return [float(np.asarray(part).std(axis=0).max()) for part in blend[:3]]

    # The three frames are equal: any difference between them was drawn for a frame.
    assert max(spread("shared")) < 1e-5
    real, fake, mask = spread("drift")
    assert max(real, mask) < 1e-5 < 1e-3 < fake
    assert min(spread("independent")) > 0.05


def test_collinear_landmarks_forge_nothing(batch):
    line = np.linspace(60.0, 190.0, 81, dtype=np.float32)[None, :, None].repeat(2, axis=2)
    blend = SINGLE(jax.random.key(0), batch["frames"][0][:1], line)
    assert not blend.forged.any()
    np.testing.assert_array_equal(blend.fake, blend.real)


def test_a_segment_is_one_run_of_forged_frames(batch):
    recipe = dataclasses.replace(RECIPE, segment=1.0, segment_share=(0.25, 0.75))
    frames, landmarks = (np.repeat(batch[name][0][:1], 8, axis=0) for name in ("frames", "landmarks"))
    run = jax.jit(lambda key: self_blend(key, frames, landmarks, recipe=recipe))
    lengths, starts = set(), set()
    for seed in range(12):
        blend = run(jax.random.key(seed))
        forged = np.asarray(blend.forged)
        assert np.abs(np.diff(np.concatenate([[0], forged, [0]]))).sum() == 2
        np.testing.assert_array_equal(np.asarray(blend.fake)[~forged], np.asarray(blend.real)[~forged])
        lengths.add(int(forged.sum()))
        starts.add(int(forged.argmax()))
    assert lengths <= {2, 3, 4, 5, 6}
    assert len(lengths) > 2 < len(starts)


def test_another_face_is_laid_over_this_one_in_its_colours(batch):
    plain = {
        field.name: 0.0
        for field in dataclasses.fields(RECIPE)
        if field.name.startswith(("source_", "shared_"))
    } | {"jpeg": 0.0, "flip": 0.0, "sharpen_alpha": (0.0, 0.0), "downscale": 0.0, "blend_ratios": (1.0,)}
    still = {"scale": (1.0, 1.0), "translate": (0.0, 0.0), "hulls": (1.0, 0, 0, 0, 0, 0, 0, 0)}
    recipe = dataclasses.replace(RECIPE, other_face=1.0, change_source=1.0, **plain, **still)
    frames, landmarks = batch["frames"][0], batch["landmarks"][0]
    # The same face, smaller, elsewhere and in other colours: laid over itself it is itself again.
    small = np.stack([cv2.resize(frame, (200, 200), interpolation=cv2.INTER_AREA) for frame in frames])
    other_frames = np.pad(small, [(0, 0), (40, 16), (30, 26), (0, 0)], mode="edge") * 0.5 + 0.2
    other_landmarks = (landmarks + 0.5) * 200 / 256 - 0.5 + np.array([30.0, 40.0], np.float32)

    def run(usable):
        other = OtherFace(jnp.asarray(other_frames), jnp.asarray(other_landmarks), jnp.asarray(usable))
        return jax.jit(lambda key: self_blend(key, frames, landmarks, recipe=recipe, other=other))(
            jax.random.key(0)
        )

    blend = run([True, False])
    assert blend.forged.all()
    difference = np.abs(np.asarray(blend.fake - blend.real)).mean(axis=(1, 2, 3))
    # Only the resampling differs; a frame that may not borrow blends with itself.
    assert 0.0 < difference[0] < 0.02
    assert difference[1] < 1e-6


def test_eight_bit_pairs_are_whole_levels(batch):
    recipe = dataclasses.replace(reference(size=48), temporal="shared", jpeg=0.0)
    blend = jax.jit(lambda k, f, p: self_blend(k, f, p, recipe=recipe))(
        jax.random.key(3), batch["frames"][0], batch["landmarks"][0]
    )
    for image in (blend.real, blend.fake):
        np.testing.assert_allclose(np.asarray(image) * 255, np.round(np.asarray(image) * 255), atol=1e-3)


def test_independent_frames_are_clips_of_their_own(batch):
    recipe = dataclasses.replace(WITHOUT_JPEG, temporal="independent")
    frames, landmarks = batch["frames"][0], batch["landmarks"][0]
    blend = jax.jit(lambda k: self_blend(k, frames, landmarks, recipe=recipe))(jax.random.key(4))
    single = jax.jit(lambda key, frames, landmarks: self_blend(key, frames, landmarks, recipe=WITHOUT_JPEG))
    for place, key in enumerate(jax.random.split(jax.random.key(4), 2)):
        alone = single(key, frames[place : place + 1], landmarks[place : place + 1])
        assert_same_pair(type(alone)(*(part[place : place + 1] for part in blend)), alone)


def test_a_blend_ratio_of_zero_gives_back_the_target(batch):
    recipe = dataclasses.replace(RECIPE, blend_ratios=(0.0,), change_source=1.0)
    key, frames, landmarks = jax.random.key(1), batch["frames"][0], batch["landmarks"][0]
    blend, clip = jax.jit(
        lambda k, f, p: (self_blend(k, f, p, recipe=recipe), augment_clip(k, f, p, recipe=recipe).frames)
    )(key, frames, landmarks)
    np.testing.assert_array_equal(blend.fake, blend.real)
    assert blend.mask.max() == 0.0
    # A target that is not changed is the clip as it would be without blending.
    assert np.mean(np.abs(blend.real - clip) > 1e-4) < 0.02


def test_without_any_strength_the_pair_is_the_plain_crop(batch):
    zeros = {
        field.name: 0.0
        for field in dataclasses.fields(SelfBlendRecipe)
        if field.name.startswith(("source_", "shared_"))
    }
    recipe = dataclasses.replace(
        RECIPE,
        **zeros,
        flip=0.0,
        margin=(0.125, 0.125),
        downscale=0.0,
        sharpen_alpha=(0.0, 0.0),
        translate=(0.0, 0.0),
        scale=(1.0, 1.0),
        jpeg=0.0,
    )
    key, frames, landmarks = jax.random.key(1), batch["frames"][0], batch["landmarks"][0]
    blend = jax.jit(lambda k, f, p: self_blend(k, f, p, recipe=recipe))(key, frames, landmarks)
    crop = face_crop(frames, landmarks, size=48).frames
    np.testing.assert_allclose(blend.real, crop, atol=1e-5)
    np.testing.assert_allclose(blend.fake, crop, atol=1e-5)
    assert blend.mask.max() > 0.2


def test_the_mask_stays_near_the_hull(batch):
    from scipy.spatial import ConvexHull

    size, width = 64, 44.0
    points = (batch["landmarks"][0] - 128.0) * (width / 140.0) + 31.5
    extent, centre = jnp.array([width, width]), jnp.array([31.5, 33.0])

    def make(key):
        draws = draw(key, 2)
        recipe = dataclasses.replace(RECIPE, size=size)
        motion = scale_motion(draws.motion, centre=centre, face=extent, recipe=recipe)
        return blend_mask(draws, jnp.asarray(points), motion=motion, face=extent, recipe=recipe)

    masks = np.asarray(jax.jit(jax.vmap(make))(jax.random.split(jax.random.key(0), 64)))
    assert masks.min() >= 0.0
    assert masks.max() <= 1.0
    np.testing.assert_allclose(
        np.unique(np.round(masks.max(axis=(2, 3)), 4)), [0.25, 0.5, 0.75, 1.0], atol=1e-4
    )
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    for frame in (0, 1):
        lines = ConvexHull(points[frame]).equations
        distances = lines[:, :2] @ np.stack([x.ravel(), y.ravel()]) + lines[:, 2:]
        outside = distances.max(axis=0).reshape(size, size)
        # In face widths: shift 0.06, scale 0.05, displacement 4 sigma 0.04, feathering 0.13; and one pixel.
        assert masks[:, frame, outside > 0.28 * width + 1.0].max() == 0.0


def test_the_crop_agrees_with_pillow(batch):
    frames, landmarks = batch["frames"][0], batch["landmarks"][0]
    inner = landmarks[:, :68]
    low, high = inner.min(axis=1).mean(axis=0), inner.max(axis=1).mean(axis=0)
    side = 1.25 * (high - low).max()
    left, top = (low + high) / 2 - side / 2 + 0.5
    box = (left, top, left + side, top + side)
    channels = [
        np.asarray(Image.fromarray(frames[0, ..., c]).resize((96, 96), Image.Resampling.BILINEAR, box=box))
        for c in range(3)
    ]
    ours = face_crop(frames, landmarks, size=96).frames
    np.testing.assert_allclose(ours[0], np.stack(channels, -1), atol=1e-4)


@pytest.mark.parametrize("value", [np.nan, 50.0, -500.0])
def test_the_crop_of_degenerate_landmarks_is_the_whole_stored_crop(batch, value):
    frames = batch["frames"][0]
    crop = face_crop(frames, np.full((2, 81, 2), value, np.float32), size=128).frames
    np.testing.assert_allclose(crop, frames.reshape(2, 128, 2, 128, 2, 3).mean((2, 4)), atol=0.02)


def test_the_crop_ignores_frames_that_are_not_valid(batch):
    frames, landmarks = batch["frames"][0], batch["landmarks"][0].copy()
    expected = face_crop(frames, np.stack([landmarks[0]] * 2), size=64).frames
    landmarks[1] *= 0.6
    crop = face_crop(frames, landmarks, size=64, valid=np.array([True, False])).frames
    np.testing.assert_allclose(crop, expected, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    landmarks=hnp.arrays(
        np.float32, (2, 81, 2), elements=st.floats(width=32), fill=st.floats(-1e3, 1e3, width=32)
    ),
    seed=st.integers(0, 2**31 - 1),
)
def test_no_landmarks_break_a_pair(batch, landmarks, seed):
    blend = SINGLE(jax.random.key(seed), batch["frames"][0], landmarks)
    for value in blend[:3]:
        assert np.isfinite(value).all()
        assert np.min(value) >= 0.0
        assert np.max(value) <= 1.0
    assert np.isfinite(blend.landmarks).all()
    untouched = np.max(blend.mask, axis=(1, 2, 3)) == 0.0
    np.testing.assert_array_equal(np.asarray(blend.fake)[untouched], np.asarray(blend.real)[untouched])


@pytest.mark.parametrize(
    ("field", "value"),
    [("size", 8), ("flip", 1.5), ("shared_hsv_probability", -0.1), ("margin", (0.3, 0.1)), ("hulls", (1.0,)),
     ("temporal", "smooth"), ("drift", (0.0, 0.1)), ("jpeg_quality", (0, 100))],
)  # fmt: skip
def test_an_impossible_recipe_names_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        SelfBlendRecipe(**{field: value})
