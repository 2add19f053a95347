"""What every backbone of the table promises, checked on tiny ones."""

import dataclasses
import re
import typing

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax.models.spatial import SPATIAL

TINY = {
    "convnext": {"depths": (1, 1), "dims": (8, 16), "layer_scale": 1.0, "drop_path": 0.2},
    "convnext_v2": {"depths": (1, 1), "dims": (8, 16), "drop_path": 0.2},
    "efficientnet": {"width": 0.2, "depth": 0.1, "drop_path": 0.2},
    "resnet": {"depths": (1, 1), "stem": 4, "groups": 2, "group_width": 2},
    "xception": {"widths": (4, 8, 8, 8, 8, 8, 16, 16), "middle_blocks": 0},
}
# Sides of the maps for images of 18 px.
SIDES = {
    "convnext": [4, 2],
    "convnext_v2": [4, 2],
    "efficientnet": [9, 5, 3, 2, 1],
    "resnet": [5, 3],
    "xception": [3, 2, 1, 1],
}
SIZE = 18
BATCH = 8


class Case(typing.NamedTuple):
    name: str
    model: nn.Module
    images: jax.Array
    variables: dict
    trained: dict  # batch statistics after a training step
    run: typing.Callable  # images to `trained`, features and maps
    features: jax.Array
    maps: list


@pytest.fixture(scope="module", params=SPATIAL)
def case(request):
    model = SPATIAL[request.param](**TINY[request.param])
    images = jax.random.normal(jax.random.key(0), (BATCH, SIZE, SIZE, 3))
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    variables = jax.tree.map_with_path(_filled, {"batch_stats": {}} | shapes)
    rngs = {"dropout": jax.random.key(1)}

    @jax.jit
    def run(images):
        _, state = model.apply(variables, images, train=True, rngs=rngs, mutable=["batch_stats"])
        return state.get("batch_stats", {}), *model.apply(variables, images)

    trained, features, maps = run(images)
    return Case(request.param, model, images, variables, trained, run, features, maps)


def _filled(path, leaf):
    """Values that keep signals of one size through the net, and that init would not give."""
    rng = np.random.default_rng(len(jax.tree_util.keystr(path)))
    name = path[-1].key
    if leaf.ndim > 1:
        fan_in = leaf.size // leaf.shape[-1]
        return (rng.normal(size=leaf.shape) * np.sqrt(2 / fan_in)).astype(np.float32)
    centre = 1 if name in ("scale", "var", "layer_scale") else 0
    return (centre + 0.2 * rng.uniform(-1, 1, leaf.shape)).astype(np.float32)


def test_features_and_maps_have_the_promised_shapes_and_types(case):
    assert [m.shape[:3] for m in case.maps] == [(BATCH, side, side) for side in SIDES[case.name]]
    assert case.features.shape == (BATCH, case.maps[-1].shape[-1])
    assert {m.dtype for m in (case.features, *case.maps)} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(case.variables)} == {jnp.dtype("float32")}
    assert float(abs(case.features).max()) > 1e-2


def test_permuting_the_batch_permutes_the_result(case):
    order = np.array([3, 0, 2, 1, 7, 6, 4, 5])
    _, features, maps = case.run(case.images[order])
    for got, want in zip((features, *maps), (case.features, *case.maps), strict=True):
        np.testing.assert_allclose(got, want[order], atol=1e-5 * abs(want).max())


def test_bfloat16_is_near(case):
    half = SPATIAL[case.name](**TINY[case.name], dtype="bfloat16")
    features, maps = jax.jit(half.apply)(case.variables, case.images)
    assert features.dtype == jnp.float32
    assert {m.dtype for m in maps} == {jnp.dtype("bfloat16")}
    np.testing.assert_allclose(features, case.features, atol=2e-2 * abs(case.features).max())


def test_batch_statistics_are_tracked_in_training_only(case):
    before, after = (jax.tree.leaves(stats) for stats in (case.variables["batch_stats"], case.trained))
    assert bool(before) == (case.name not in ("convnext", "convnext_v2"))
    assert all((old != new).any() for old, new in zip(before, after, strict=True))
    mutable = ["batch_stats"]
    program = jax.make_jaxpr(lambda v: case.model.apply(v, case.images, mutable=mutable)[1])(case.variables)
    # Without training they come out of the program as they went in.
    assert set(program.jaxpr.outvars) <= set(program.jaxpr.invars)


def test_programs_for_any_batch_size_are_free_of_gathers(case):
    (batch,) = jax.export.symbolic_shape("b")
    images = jax.ShapeDtypeStruct((batch, SIZE, SIZE, 3), jnp.float32)
    exported = jax.export.export(jax.jit(case.model.apply), platforms=("cpu", "cuda", "tpu"))
    text = exported(case.variables, images).mlir_module()
    assert "stablehlo.convolution" in text
    assert not re.search(r"stablehlo\.\w*(gather|scatter|fft)", text)


@pytest.mark.parametrize("name", SPATIAL)
def test_all_have_the_options_that_they_share(name):
    options = {field.name for field in dataclasses.fields(SPATIAL[name])}
    assert "dtype" in options
    assert ("variant" in options) == (name != "xception")
    with pytest.raises(ValueError, match="dtype='float16'"):
        SPATIAL[name](**TINY[name], dtype="float16")
