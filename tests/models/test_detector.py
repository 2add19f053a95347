"""The composed detector: its agreement with callers, for every combination of parts."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax import models
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.detector import BRANCHES
from tests.models.published.parity import random_variables

SMALL = {"depths": (1, 1), "dims": (8, 16), "layer_scale": 0.5}
PARTS = {
    "spatial": SMALL,
    "frequency": {"widths": [8, 16]},
    "motion": {"widths": [8, 8], "filters": 2, "cell": 4},
    "temporal": {"layers": 1, "heads": 2, "dim": 16},
}


def _detector(parts, **options):
    return models.create("detector", **{part: PARTS[part] for part in parts}, **options)


def _example(model, b=3, t=4, size=16):
    frames = np.random.default_rng(0).random((b, t, size, size, 3)).astype(np.float32)
    return random_variables(model, frames), frames


@functools.cache
def _detector_in_use(parts=tuple(PARTS), dtype="float32"):
    """A detector, its variables, frames, and the compiled call of all of these and `valid`."""
    model = _detector(parts, dtype=dtype)
    apply = jax.jit(lambda variables, frames, valid: model.apply(variables, Clip(frames, valid=valid)))
    return model, *_example(model), apply


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("spatial", "frequency", "motion", "temporal"),
    [
        combination
        for combination in itertools.product([None, SMALL], [None, {}], [None, {}], [None, {}])
        if any(part is not None for part in combination[:3])
    ],
)
def test_every_combination_builds(spatial, frequency, motion, temporal, dtype):
    parts = {"spatial": spatial, "frequency": frequency, "motion": motion, "temporal": temporal}
    model = models.create("detector", **parts, dtype=dtype)
    frames = jax.ShapeDtypeStruct((2, 3, 64, 64, 3), jnp.float32)
    (logit, out), variables = jax.eval_shape(model.init_with_output, jax.random.key(0), Clip(frames))
    widths = {"spatial": 16, "frequency": 96, "motion": 64}
    width = sum(width for part, width in widths.items() if parts[part] is not None)
    width = 128 if temporal is not None else width
    assert (logit.shape, out["frame_logit"].shape, out["features"].shape) == ((2,), (2, 3), (2, width))
    everything = jax.tree.leaves((logit, out, variables))
    assert {leaf.dtype for leaf in everything} == {jnp.dtype("float32")}


@pytest.mark.parametrize("parts", [("spatial", "frequency", "motion"), tuple(PARTS)])
def test_masked_frames_never_change_a_logit(parts):
    _, variables, frames, whole = _detector_in_use(parts)
    valid = jnp.array([[1, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]], bool)
    other = jnp.where(valid[..., None, None, None], frames, 1 - frames**2)

    def apply(frames, valid):
        return whole(variables, frames, valid)[0]

    np.testing.assert_array_equal(apply(frames, valid), apply(other, valid))
    assert np.isfinite(apply(frames, valid)).all()
    assert float(abs(apply(frames, valid) - apply(frames, jnp.ones_like(valid))).max()) > 1e-4


def test_without_temporal_part_a_clip_scores_the_mean_of_its_valid_frames():
    model = _detector(("frequency",))
    variables, frames = _example(model)
    valid = np.array([[1, 0, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]], bool)
    logit, out = jax.jit(model.apply)(variables, Clip(frames, valid=valid))
    expected = [row[mask].mean() for row, mask in zip(np.asarray(out["frame_logit"]), valid, strict=True)]
    np.testing.assert_allclose(logit, expected, rtol=1e-5)


def test_a_clip_part_may_go_by_the_time_of_the_frames():
    temporal = {"layers": 1, "heads": 2, "dim": 8, "positions": "timestamps"}
    model = models.create("detector", frequency=PARTS["frequency"], temporal=temporal)
    frames = np.random.default_rng(0).random((1, 3, 32, 32, 3)).astype(np.float32)
    variables = random_variables(model, frames, timestamps=np.zeros((1, 3), np.float32))
    apply = jax.jit(lambda timestamps: model.apply(variables, Clip(frames, timestamps=timestamps))[0])
    even = np.array([[5.0, 5.04, 5.08]], np.float32)
    np.testing.assert_allclose(apply(even), apply(even + 3), atol=1e-4)
    uneven = np.array([[5.0, 5.04, 9.0]], np.float32)
    assert abs(float(apply(even)[0] - apply(uneven)[0])) > 1e-3
    with pytest.raises(ValueError, match="needs timestamps"):
        jax.eval_shape(model.apply, variables, Clip(frames))


def test_high_pass_residuals_are_in_levels_whatever_the_normalisation():
    frames = np.random.default_rng(0).random((1, 1, 32, 32, 3)).astype(np.float32) * 0.02
    half, none = (
        models.create("detector", frequency={"name": "high_pass"}, normalisation=name)
        for name in ("half", "none")
    )
    variables = random_variables(half, frames)
    one, other = (jax.jit(model.apply)(variables, Clip(frames))[0] for model in (half, none))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_permuting_the_batch_permutes_the_result():
    _, variables, frames, apply = _detector_in_use()
    order, valid = np.array([2, 0, 1]), np.ones((3, 4), bool)
    straight, permuted = (apply(variables, f, valid) for f in (frames, frames[order]))
    for a, b in zip(jax.tree.leaves(straight), jax.tree.leaves(permuted), strict=True):
        np.testing.assert_allclose(a[order], b, atol=1e-5)
    assert np.ptp(straight[0]) > 1e-3


@pytest.mark.parametrize(
    "parts", [*((part, "temporal") for part in BRANCHES), ("spatial", "frequency", "temporal")]
)
def test_bfloat16_is_near_float32(parts):
    valid = np.ones((3, 4), bool)
    (_, variables, frames, wide), (*_, narrow) = (
        _detector_in_use(parts, dtype) for dtype in ("float32", "bfloat16")
    )
    expected, got = (apply(variables, frames, valid)[0] for apply in (wide, narrow))
    np.testing.assert_allclose(got, expected, atol=2e-2)
    assert not np.array_equal(got, expected)


def test_training_draws_from_the_dropout_stream_and_evaluation_does_not():
    model = _detector(PARTS, dropout=0.5)
    variables, frames = _example(model)
    train = jax.jit(
        lambda key: model.apply(variables, Clip(frames), train=True, rngs={"dropout": key})[0],
    )
    one, again, other = (train(jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    # Would raise if evaluation asked for a key.
    jax.eval_shape(model.apply, variables, Clip(frames))


def test_normalisation_is_inside():
    frames = jax.random.uniform(jax.random.key(0), (1, 1, 16, 16, 3))
    imagenet = _detector(("spatial",))
    half = _detector(("spatial",), normalisation="half")
    variables = random_variables(imagenet, frames)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    same = (frames - mean) / std * 0.5 + 0.5
    np.testing.assert_allclose(
        jax.jit(imagenet.apply)(variables, Clip(frames))[0],
        jax.jit(half.apply)(variables, Clip(same))[0],
        rtol=1e-4,
        atol=1e-6,
    )


def test_modules_are_hashable_and_equal_by_value():
    # jit takes them as static arguments.
    assert hash(_detector(PARTS)) == hash(_detector(PARTS))
    assert _detector(PARTS) == _detector(PARTS)
    assert _detector(PARTS) != _detector(("spatial",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no branch"),
        ({"temporal": {}}, "no branch"),
        ({"spatial": "atto"}, "spatial='atto' must be None or a mapping"),
        ({"spatial": {"varient": "atto"}}, "spatial has no option varient; known: variant, depths"),
        ({"spatial": {"variant": "giant"}}, "variant='giant'"),
        ({"frequency": {"widths": (7,)}}, "widths"),
        ({"frequency": {}, "temporal": {"heads": 3}}, "heads=3"),
        ({"frequency": {}, "fusion": "sum"}, "fusion has no kind 'sum'; known: concat"),
        ({"frequency": {}, "dtype": "float16"}, "dtype='float16'"),
        ({"frequency": {}, "normalisation": "zero"}, "imagenet, half, none"),
        ({"frequency": {}, "depth": 2}, "no option depth; known: spatial"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_wrong_options_are_refused_with_the_known_ones(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("detector", **options)


def test_exports_for_all_platforms_with_any_batch_size():
    _, variables, frames, apply = _detector_in_use()
    (batch,) = jax.export.symbolic_shape("batch")
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), variables)
    arguments = (
        jax.ShapeDtypeStruct((batch, *frames.shape[1:]), jnp.float32),
        jax.ShapeDtypeStruct((batch, frames.shape[1]), jnp.bool_),
    )
    exported = jax.export.export(apply, platforms=("cpu", "cuda", "tpu"))(shapes, *arguments)
    restored = jax.export.deserialize(exported.serialize())
    for size in (1, 3):
        valid = jnp.arange(4)[None] < jnp.arange(2, 2 + size)[:, None]
        got, expected = (f(variables, frames[:size], valid) for f in (restored.call, apply))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, expected)
