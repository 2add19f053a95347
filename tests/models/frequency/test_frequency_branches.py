"""What every frequency branch of the table promises, checked on tiny ones."""

import re
import typing

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fakedetect_jax.models.frequency import FREQUENCY

TINY = {
    "spectral": {"widths": (8, 16), "depth": 0},
    "phase": {"widths": (8, 16), "depth": 0},
    "dct_bands": {"widths": (8, 16), "depth": 0},
    "local_statistics": {"widths": (8, 16), "depth": 0, "window": 4, "bands": 3},
    "high_pass": {"widths": (8, 16), "depth": 0},
}
# Sides of the maps of images of 18 x 20 px.
SIDES = {name: [(9, 10), (5, 5)] for name in TINY} | {"local_statistics": [(8, 9), (4, 5)]}
SHAPE = (4, 18, 20, 3)


class Case(typing.NamedTuple):
    name: str
    model: nn.Module
    images: jax.Array
    variables: dict
    run: typing.Callable  # features and maps
    features: jax.Array
    maps: list


@pytest.fixture(scope="module", params=FREQUENCY)
def case(request):
    model = FREQUENCY[request.param](**TINY[request.param])
    images = jax.random.normal(jax.random.key(0), SHAPE)
    shapes = jax.eval_shape(model.init, jax.random.key(0), images)
    variables = jax.tree.map_with_path(_filled, shapes)
    run = jax.jit(model.apply)
    return Case(request.param, model, images, variables, run, *run(variables, images))


def _filled(path, leaf):
    rng = np.random.default_rng(len(jax.tree_util.keystr(path)))
    if path[-1].key == "kernel":
        return (rng.normal(size=leaf.shape) * np.sqrt(2 * leaf.shape[-1] / leaf.size)).astype(np.float32)
    centre = 1 if path[-1].key == "scale" else 0
    return (centre + 0.2 * rng.uniform(-1, 1, leaf.shape)).astype(np.float32)


def test_features_and_maps_have_the_promised_shapes_and_types(case):
    sides = SIDES[case.name]
    assert [m.shape for m in case.maps] == [
        (4, *side, width) for side, width in zip(sides, (8, 16), strict=True)
    ]
    assert case.features.shape == (4, 16)
    assert {m.dtype for m in (case.features, *case.maps)} == {jnp.dtype("float32")}
    assert float(abs(case.features).max()) > 1e-2


def test_permuting_the_batch_permutes_the_result(case):
    order = np.array([3, 0, 2, 1])
    got = case.run(case.variables, case.images[order])
    for mine, other in zip(jax.tree.leaves(got), (case.features, *case.maps), strict=True):
        np.testing.assert_allclose(mine, other[order], atol=1e-5 * abs(other).max())
    assert float(np.ptp(case.features, axis=0).max()) > 1e-2


def test_bfloat16_is_near(case):
    half = FREQUENCY[case.name](**TINY[case.name], dtype="bfloat16")
    features, maps = jax.jit(half.apply)(case.variables, case.images)
    assert features.dtype == jnp.float32
    assert {m.dtype for m in maps} == {jnp.dtype("bfloat16")}
    np.testing.assert_allclose(features, case.features, atol=2e-2 * abs(case.features).max())


def test_programs_for_any_batch_size_are_free_of_gathers_and_ffts(case):
    (batch,) = jax.export.symbolic_shape("b")
    images = jax.ShapeDtypeStruct((batch, *SHAPE[1:]), jnp.float32)
    exported = jax.export.export(case.run, platforms=("cpu", "cuda", "tpu"))
    text = exported(case.variables, images).mlir_module()
    assert "stablehlo.convolution" in text
    assert not re.search(r"stablehlo\.\w*(gather|scatter|fft)", text)


def test_everything_learns_and_a_sharded_batch_exchanges_sums_alone(case):
    def gradient(variables, images):
        return jax.grad(lambda v: (case.model.apply(v, images, train=True)[0] ** 3).sum())(variables)

    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    split, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    sharded = jax.jit(gradient, in_shardings=(whole, split), out_shardings=whole)
    compiled = sharded.lower(case.variables, case.images).compile()
    collectives = re.findall(
        r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\(",
        compiled.as_text(),
    )
    assert set(collectives) == {"all-reduce"}
    got = compiled(case.variables, case.images)
    assert all(float(abs(leaf).max()) > 0 for leaf in jax.tree.leaves(got))


@pytest.mark.parametrize("name", FREQUENCY)
def test_defaults_build(name):
    images = jax.ShapeDtypeStruct((2, 64, 48, 3), jnp.float32)
    (features, maps), variables = jax.eval_shape(
        FREQUENCY[name]().init_with_output, jax.random.key(0), images
    )
    assert (features.shape, len(maps)) == ((2, 96), 3)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert hash(FREQUENCY[name]()) == hash(FREQUENCY[name]())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [(name, {"widths": (9,)}, "widths=.9,. must be multiples of 8") for name in FREQUENCY]
    + [
        (name, {"dtype": "float16"}, f"{name} dtype='float16' is not known; use one of float32, bfloat16")
        for name in FREQUENCY
        if name != "spectral"
    ]
    + [
        ("local_statistics", {"window": 0}, "window=0"),
        ("local_statistics", {"window": 4, "bands": 8}, "bands=8 must be at most the 7 diagonals"),
        ("local_statistics", {"stride": 0}, "stride=0"),
        ("high_pass", {"levels": 0.0}, "levels=0.0 must be positive"),
    ],
)
def test_wrong_options_are_refused_by_name(name, options, message):
    with pytest.raises(ValueError, match=message):
        FREQUENCY[name](**options)


def test_frames_smaller_than_a_window_are_refused():
    images = jnp.zeros((1, 8, 12, 3))
    with pytest.raises(ValueError, match="window=10 needs frames of at least that size"):
        jax.eval_shape(FREQUENCY["local_statistics"]().init, jax.random.key(0), images)
