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
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fakedetect_jax.models.spatial import SPATIAL

TINY = {
    "convnext": {"depths": (1, 1), "dims": (8, 16), "layer_scale": 1.0, "drop_path": 0.2},
    "convnext_v2": {"depths": (1, 1), "dims": (8, 16), "drop_path": 0.2},
    "efficientnet": {"width": 0.2, "depth": 0.1, "drop_path": 0.2},
    "resnet": {"depths": (1, 1), "stem": 4, "groups": 2, "group_width": 2},
    "xception": {"widths": (4, 8, 8, 8, 8, 8, 16, 16), "middle_blocks": 1},
}
# Sides of the maps for images of 34 px.
SIDES = {
    "convnext": [8, 4],
    "convnext_v2": [8, 4],
    "efficientnet": [17, 9, 5, 3, 2],
    "resnet": [9, 5],
    "xception": [7, 4, 2, 1],
}
SIZE = 34
BATCH = 8


class Case(typing.NamedTuple):
    name: str
    model: nn.Module
    images: jax.Array
    variables: dict  # parameters of init; batch statistics after one step
    trained: dict  # batch statistics after another one
    features: jax.Array
    maps: list


@pytest.fixture(scope="module", params=SPATIAL)
def case(request):
    model = SPATIAL[request.param](**TINY[request.param])
    images = 2 * jax.random.normal(jax.random.key(0), (BATCH, SIZE, SIZE, 3)) + 0.5

    @jax.jit
    def run(key):
        variables = {"batch_stats": {}} | model.init(key, images)
        state, rngs = [variables["batch_stats"]], {"dropout": key}
        for _ in range(2):
            variables["batch_stats"] = state[-1]
            _, updated = model.apply(variables, images, train=True, rngs=rngs, mutable=["batch_stats"])
            state.append(updated.get("batch_stats", {}))
        variables["batch_stats"] = state[1]
        return variables, state[2], *model.apply(variables, images)

    return Case(request.param, model, images, *run(jax.random.key(1)))


def test_features_and_maps_have_the_promised_shapes_and_types(case):
    assert [m.shape[:3] for m in case.maps] == [(BATCH, side, side) for side in SIDES[case.name]]
    assert case.features.shape == (BATCH, case.maps[-1].shape[-1])
    assert {m.dtype for m in (case.features, *case.maps)} == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(case.variables)} == {jnp.dtype("float32")}
    assert float(abs(case.features).max()) > 1e-2


def test_permuting_the_batch_permutes_the_result_and_bfloat16_is_near(case):
    order = np.array([3, 0, 2, 1, 7, 6, 4, 5])
    half = SPATIAL[case.name](**TINY[case.name], dtype="bfloat16")

    @jax.jit
    def run(variables, images):
        return case.model.apply(variables, images[order]), half.apply(variables, images)

    permuted, (features, maps) = run(case.variables, case.images)
    for got, want in zip(jax.tree.leaves(permuted), (case.features, *case.maps), strict=True):
        np.testing.assert_allclose(got, want[order], atol=1e-5 * abs(want).max())
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


def test_a_sharded_batch_has_the_statistics_and_gradients_of_the_whole(case):
    key = jax.random.key(2)

    def step(variables, images):
        def loss(params):
            (features, _), state = case.model.apply(
                variables | {"params": params},
                images,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
            return (features**2).mean(), state.get("batch_stats", {})

        return jax.grad(loss, has_aux=True)(variables["params"])

    mesh = jax.make_mesh((BATCH,), ("data",), axis_types=(AxisType.Auto,))
    split, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    sharded = jax.jit(step, in_shardings=(whole, split), out_shardings=whole)
    compiled = sharded.lower(case.variables, case.images).compile()
    collectives = re.findall(
        r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\(",
        compiled.as_text(),
    )
    assert set(collectives) == {"all-reduce"}
    (gradients, statistics) = compiled(case.variables, case.images)
    expected_gradients, expected_statistics = jax.jit(step)(case.variables, case.images)
    for leaf, got in jax.tree.leaves_with_path(gradients):
        assert float(abs(got).max()) > 0, leaf
    for tree, expected in ((gradients, expected_gradients), (statistics, expected_statistics)):
        largest = max([float(abs(leaf).max()) for leaf in jax.tree.leaves(expected)], default=0)
        for got, want in zip(jax.tree.leaves(tree), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-4 * largest)


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
