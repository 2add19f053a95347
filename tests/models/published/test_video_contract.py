"""What every whole video model owes its callers, each in a tiny size."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published import PUBLISHED
from tests.models.published.tiny_models import TINY, Example, tiny_model


@pytest.fixture(scope="module", params=TINY)
def example(request):
    return Example(request.param)


@pytest.mark.parametrize("name", TINY)
def test_defaults_build(name):
    # These two have tests of their own: their clips are of a fixed shape, or their input is landmarks.
    assert set(PUBLISHED) - set(TINY) == {"vivit", "st_gcn"}
    frames = jax.ShapeDtypeStruct((2, 16, 128, 128, 3), jnp.float32)
    (logit, out), variables = jax.eval_shape(
        PUBLISHED[name]().init_with_output, jax.random.key(0), Clip(frames)
    )
    assert (logit.shape, out["frame_logit"].shape, out["features"].shape[0]) == ((2,), (2, 16), 2)
    assert {leaf.dtype for leaf in jax.tree.leaves((logit, out, variables))} == {jnp.dtype("float32")}


def test_masked_frames_never_change_the_result(example):
    garbage = np.where(example.valid[..., None, None, None], example.frames, 7 - 9 * example.frames)
    clean, spoilt = example(valid=example.valid), example(garbage.astype(np.float32), example.valid)
    jax.tree.map(np.testing.assert_array_equal, clean, spoilt)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
    assert float(abs(clean[0] - example()[0]).min()) > 1e-5


def test_permuting_the_batch_permutes_the_result(example):
    order = np.array([2, 0, 1])
    straight, permuted = example(valid=example.valid), example(example.frames[order], example.valid[order])
    for a, b in zip(jax.tree.leaves(straight), jax.tree.leaves(permuted), strict=True):
        np.testing.assert_allclose(a[order], b, atol=1e-5)
    assert np.ptp(straight[0]) > 1e-3


def test_bfloat16_is_near_float32(example):
    narrow = tiny_model(example.name, dtype="bfloat16")
    got, out = jax.jit(narrow.apply)(example.variables, Clip(example.frames))
    expected = example()[0]
    np.testing.assert_allclose(got, expected, atol=2e-2 * max(float(abs(expected).max()), 1))
    assert {leaf.dtype for leaf in jax.tree.leaves((got, out))} == {jnp.dtype("float32")}
    assert not np.array_equal(got, expected)


def test_exports_for_all_platforms_with_any_batch_size_and_without_gathers(example):
    (batch,) = jax.export.symbolic_shape("batch")
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), example.variables)
    arguments = (
        jax.ShapeDtypeStruct((batch, *example.frames.shape[1:]), jnp.float32),
        jax.ShapeDtypeStruct((batch, example.frames.shape[1]), jnp.bool_),
    )
    exported = jax.export.export(example.apply, platforms=("cpu", "cuda", "tpu"))(shapes, *arguments)
    assert not re.findall(r"stablehlo\.\w*(?:gather|scatter)\w*", exported.mlir_module())


def test_modules_are_hashable_and_equal_by_value(example):
    assert hash(tiny_model(example.name)) == hash(tiny_model(example.name))
    assert tiny_model(example.name) == tiny_model(example.name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("meso4", {"dropout": 1.0}, "dropout=1.0"),
        (
            "meso_inception4",
            {"dtype": "float16"},
            "MesoInception4 dtype='float16' is not known; use one of float32",
        ),
        ("resnext_lstm", {"variant": "101x"}, "variant='101x' is not known"),
        ("resnext_lstm", {"dim": 0}, "dim=0"),
        ("resnext_lstm", {"depths": (1, 1)}, "not both"),
        ("c3d", {"widths": (8, 8)}, r"widths=\(8, 8\) must be 5 whole numbers"),
        ("c3d", {"hidden": 0}, "hidden=0"),
        ("i3d", {"width": 0}, "width=0 must be positive"),
        ("r2plus1d", {"layers": 50}, "layers=50 is not known; use one of 10, 18, 34"),
        ("r2plus1d", {"middle": "own"}, "middle='own' is not known; use one of block, conv"),
        ("r2plus1d", {"time_strides": (1, 2)}, "time_strides=.* must be 4"),
        ("cnn3d", {"temporal": "gpu"}, "temporal='gpu' is not known; use one of .*gru"),
        ("cnn3d", {"temporal_options": {"size": 3}}, "'gru' has no option size; known: dim"),
        ("cnn3d", {"temporal": "transformer", "temporal_options": {"heads": 3}}, "heads=3"),
        ("cnn3d", {"temporal_options": 3}, "None or a mapping"),
        ("cnn3d", {"layers": 17}, "layers=17"),
        ("ftcn", {"depths": (3, 4)}, "depths=.* must be 3"),
        ("ftcn", {"heads": 0}, "heads=0"),
        ("ftcn", {"max_frames": 1}, "max_frames=1 must be at least 2"),
        ("m2tr", {"variant": "b9"}, "EfficientNet variant='b9' is not known"),
        ("m2tr", {"layers": 0}, "layers=0"),
        ("m2tr", {"dropout": 1.0}, "dropout=1.0"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_wrong_options_are_refused_by_name(name, options, message):
    with pytest.raises(ValueError, match=message):
        PUBLISHED[name](**options)
