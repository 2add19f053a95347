"""What becomes of a batch before the model sees it."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import linen as nn
from hypothesis import given, settings
from hypothesis import strategies as st

from fakedetect_jax import experiment, models, parallel
from fakedetect_jax.augment import SelfBlendRecipe
from fakedetect_jax.data.clips import Clip
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.experiment.sources import check_batch_sizes, check_classes, check_methods
from fakedetect_jax.training.inputs import augmented, cropped, self_blended
from fakedetect_jax.training.losses import mask_loss
from fakedetect_jax.training.state import create_state
from tests import tiny_config
from tests.conftest import CROP, make_videos

RECIPE = SelfBlendRecipe(size=32, jpeg=0.0)


@pytest.fixture(scope="module")
def batch():
    """Four clips: two people twice, the last without usable landmarks."""
    clip = Clip(0, np.arange(2), np.ones(2, bool))
    batch = make_videos([3] * 4).load([(number, clip) for number in range(4)])
    batch["landmarks"][3] = np.nan
    batch["identity"] = np.array([5, 6, 7, 7], np.int32)
    return batch


def make(recipe, batch):
    keys = jax.random.split(jax.random.key(0), len(batch["label"]))
    return jax.tree.map(np.asarray, jax.jit(self_blended(recipe))(keys, batch))


def test_a_clip_that_cannot_be_blended_counts_as_a_real_alone(batch):
    out = make(RECIPE, batch)
    np.testing.assert_array_equal(out["label"], [0, 1] * 4)
    np.testing.assert_array_equal(out["weight"], [1, 1, 1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(out["unblended"], [0, 0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(out["frame_label"], [[0, 0], [1, 1]] * 3 + [[0, 0], [0, 0]])
    assert (out["blend_mask"][::2] == 0).all()
    assert out["blend_mask"][1].max() > 0.2


def test_only_strangers_lend_their_face(batch):
    borrowing = dataclasses.replace(RECIPE, other_face=1.0)
    own, other = make(RECIPE, batch), make(borrowing, batch)
    changed = np.abs(own["frames"] - other["frames"]).max(axis=(1, 2, 3, 4)) > 0.02
    # The first two clips show two people; the last two one person. Reals never change.
    np.testing.assert_array_equal(changed, [False, True, False, True, False, False, False, False])


INPUTS = {
    "cropped": cropped(size=32, margin=0.2),
    "augmented": augmented(RECIPE),
    "self_blended": self_blended(RECIPE),
    "borrowed": self_blended(dataclasses.replace(RECIPE, other_face=1.0, temporal="drift")),
}
COMPILED = {name: jax.jit(make) for name, make in INPUTS.items()}


def half_valid(batch):
    return batch | {"valid": np.array([[1, 0], [0, 1], [1, 1], [0, 0]], bool)}


@pytest.mark.parametrize("name", INPUTS)
@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32 - 1),
    centre=st.floats(-1e6, 1e6, width=32),
    spread=st.sampled_from([0.0, 1e-3, 3.0, 20.0, 1e4, 1e30]),
)
def test_what_invalid_frames_hold_changes_no_valid_one(batch, name, seed, centre, spread):
    clean = half_valid(batch)
    rng = np.random.default_rng(seed)
    spoilt, invalid = dict(clean), ~clean["valid"]
    spoilt["frames"] = np.where(
        invalid[..., None, None, None],
        rng.integers(0, 256, clean["frames"].shape, np.uint8),
        clean["frames"],
    )
    garbage = (centre + spread * rng.normal(size=clean["landmarks"].shape)).astype(np.float32)
    spoilt["landmarks"] = np.where(invalid[..., None, None], garbage, clean["landmarks"])
    keys = jax.random.split(jax.random.key(seed), 4)
    kept, changed = (jax.tree.map(np.asarray, COMPILED[name](keys, rows)) for rows in (clean, spoilt))
    valid = kept["valid"]
    for field, value in kept.items():
        per_frame = value.shape[:2] == valid.shape
        one, other = (part[field][valid] if per_frame else part[field] for part in (kept, changed))
        np.testing.assert_array_equal(one, other, err_msg=field)


def test_no_face_is_borrowed_across_devices(batch):
    many = {name: np.concatenate([value] * 4) for name, value in batch.items()}
    make = self_blended(dataclasses.replace(RECIPE, other_face=1.0))
    keys = jax.random.split(jax.random.key(0), 16)
    split = parallel.split_by_example(parallel.make_mesh())
    program = jax.jit(make, in_shardings=split, out_shardings=split).lower(keys, many).compile().as_text()
    assert not re.findall(r"\b(?:all-|collective-permute|reduce-scatter)", program)


@pytest.mark.parametrize(("field", "mode"), [("train", "input"), ("validation", "validation")])
def test_borrowing_needs_pairs_of_clips_on_every_device(field, mode):
    config = tiny_config.get_config()
    config.input.recipe.other_face = 0.5
    config.train.batch_size = config.validation.batch_size = 16
    check_batch_sizes(config, parallel.make_mesh())
    config[field].batch_size = 24
    with pytest.raises(
        FakedetectError,
        match=rf"config.{field}.batch_size=24 gives each of 8 devices 3 clips.*a multiple of 16, e\.g\. 32",
    ):
        check_batch_sizes(config, parallel.make_mesh())
    config[mode].fakes = "recorded"
    check_batch_sizes(config, parallel.make_mesh())
    config[mode].fakes, config.input.recipe.other_face = "self_blend", 0.0
    check_batch_sizes(config, parallel.make_mesh())


def test_borrowing_needs_an_even_batch(batch):
    three = {name: value[:3] for name, value in batch.items()}
    with pytest.raises(ValueError, match="batch of 3 clips has one without a neighbour"):
        make(dataclasses.replace(RECIPE, other_face=0.5), three)


def test_identity_is_the_person():
    clips = [Clip(0, np.arange(count), np.ones(count, bool)) for count in (2, 1)]
    first, second = make_videos([3, 3]).load([(number, clips[0]) for number in (0, 1)])["identity"]
    assert first != second
    assert first == make_videos([3, 3]).load([(0, clips[1])])["identity"]
    assert CROP == 64


# A shrink by a whole factor, by another one, and one that differs between the axes.
@pytest.mark.parametrize("cells", [(4, 4), (7, 7), (5, 11)])
def test_mask_loss_agrees_with_torch(cells):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 2, *cells)).astype(np.float32)
    mask = rng.random((3, 2, 32, 32)).astype(np.float32)
    valid, weight = np.array([[1, 1], [1, 0], [1, 1]], bool), np.array([1, 2, 0], np.float32)
    target = torch.nn.functional.interpolate(
        torch.tensor(mask, dtype=torch.float64), size=cells, mode="bilinear", antialias=True
    )
    assert target.std() > 0.02
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    frames = bce(torch.tensor(logits, dtype=torch.float64), target, reduction="none").mean((2, 3)).numpy()
    expected = (frames[0].mean() + 2 * frames[1, 0]) / 3
    np.testing.assert_allclose(mask_loss(logits, mask, valid=valid, weight=weight), expected, rtol=1e-5)


def test_a_model_learns_to_predict_the_mask(batch):
    config = tiny_config.get_config()
    config.train.mask_weight = 1.0
    config.model.options = {"spatial": {"depths": (1, 1, 1), "dims": (8, 16, 16)}, "mask": {"width": 8}}
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    step = jax.eval_shape(
        experiment.make_step(config, model, optimizer),
        jax.eval_shape(lambda: create_state(model, optimizer, seed=0, frames=2, size=32)),
        batch,
    )
    assert {"mask_loss", "unblended"} <= set(step[1])
    _, out = jax.eval_shape(
        lambda: model.init_with_output(jax.random.key(0), models.Clip(jnp.zeros((1, 2, 32, 32, 3))))[0]
    )
    assert out["blend_mask"].shape == (1, 2, 4, 4)


@pytest.mark.usefixtures("unchecked_types")
def test_a_model_may_learn_which_method_made_a_fake(batch):
    config = tiny_config.get_config()
    config.input.fakes, config.train.method_weight = "recorded", 0.5
    config.model.options.methods = ("swap", "reenact")
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    state = jax.eval_shape(lambda: create_state(model, optimizer, seed=0, frames=2, size=32))
    assert state.params["method_head"]["kernel"].shape == (16, 2)
    _, metrics = jax.eval_shape(experiment.make_step(config, model, optimizer), state, batch)
    assert {"method_loss", "method_accuracy"} <= set(metrics)
    with pytest.raises(
        ValueError, match=r"names \['reenact'\], but config.data.train has only \['real', 'swap'\]"
    ):
        check_methods(config, make_videos([3, 3], labels=[0, 1]))
    config.input.fakes = "self_blend"
    with pytest.raises(ValueError, match=r"set config\.input\.fakes='recorded'"):
        experiment.make_step(config, nn.Dense(1), optax.identity())
    with pytest.raises(ValueError, match="at least two different names"):
        models.create("detector", motion={}, methods=("swap", "swap"))


@pytest.mark.usefixtures("unchecked_types")
def test_masks_are_refused_where_there_are_none():
    config = tiny_config.get_config()
    config.train.mask_weight = 1.0
    with pytest.raises(ValueError, match=r"config.model.options.mask = \{\}"):
        experiment.make_step(config, nn.Dense(1), optax.identity())
    config.input.fakes = "recorded"
    with pytest.raises(ValueError, match="not 'recorded'"):
        experiment.make_step(config, nn.Dense(1), optax.identity())
    with pytest.raises(ValueError, match="maps of the spatial or the frequency branch"):
        models.create("detector", motion={}, mask={})


def test_validation_on_one_recorded_class_is_refused_before_anything_runs():
    config = tiny_config.get_config()
    reals, both = make_videos([3, 3]), make_videos([3, 3], labels=[0, 1])
    check_classes(config, reals)
    config.validation.fakes = "recorded"
    check_classes(config, both)
    with pytest.raises(ValueError, match=r"config\.validation\.sources has only reals"):
        check_classes(config, reals)
