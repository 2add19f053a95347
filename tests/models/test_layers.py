"""The grouped convolution in blocks against XLA's own, and the layers on a batch that is spread over devices."""

import functools
import re

import flax.linen as nn
import jax
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fakedetect_jax.models.layers import ConvNorm, grouped_conv
from fakedetect_jax.models.spatial.efficientnet import DepthwiseNorm
from fakedetect_jax.models.spatial.xception import SeparableNorm


# One block of three groups; two blocks of two groups of 64 channels; groups too wide to be packed.
@pytest.mark.parametrize(("groups", "width", "blocks"), [(3, 2, 1), (4, 64, 2), (2, 130, 2)])
def test_values_and_gradients_equal_the_native_convolution(groups, width, blocks):
    x = jax.random.normal(jax.random.key(0), (2, 5, 6, groups * width))
    kernel = jax.random.normal(jax.random.key(1), (3, 3, width, 3 * groups))
    padding = ((1, 1), (0, 1))
    ours = functools.partial(grouped_conv, strides=(2, 2), padding=padding, groups=groups)
    native = functools.partial(
        lax.conv_general_dilated,
        window_strides=(2, 2),
        padding=padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )

    @functools.partial(jax.jit, static_argnums=0)
    def run(conv):
        value, pull = jax.vjp(conv, x, kernel)
        return value, *pull(value)

    assert str(jax.make_jaxpr(ours)(x, kernel)).count("conv_general_dilated[") == blocks
    for got, want in zip(run(ours), run(native), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 * abs(want).max())


class Layers(nn.Module):
    """Each kind of layer that the backbones with batch norms have."""

    @nn.compact
    def __call__(self, x):
        x = ConvNorm(8, 3, 2, groups=2, name="grouped")(x, train=True)
        x = nn.max_pool(jax.nn.relu(x), (3, 3), (2, 2), ((1, 1), (1, 1)))
        x = DepthwiseNorm(5, 2, ((1, 2), (2, 2)), name="depthwise")(x, train=True)
        x = SeparableNorm(8, name="separable")(x, train=True)
        return ConvNorm(4, stride=2, name="pointwise")(x, train=True)


def test_a_batch_on_eight_devices_has_the_statistics_and_gradients_of_the_whole():
    model, images = Layers(), 3 * jax.random.normal(jax.random.key(0), (8, 32, 32, 4)) + 1
    variables = jax.jit(model.init)(jax.random.key(1), images)
    weights = jax.random.normal(jax.random.key(2), (2, 2, 4))

    def step(params, images):
        def loss(params):
            out, state = model.apply(variables | {"params": params}, images, mutable=["batch_stats"])
            return ((out - weights[None]) ** 2).sum(), state

        return jax.grad(loss, has_aux=True)(params)

    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    sharded = jax.jit(step, in_shardings=(whole, split), out_shardings=whole)
    compiled = sharded.lower(variables["params"], images).compile()
    collectives = re.findall(
        r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\(",
        compiled.as_text(),
    )
    assert set(collectives) == {"all-reduce"}
    expected = jax.jit(step)(variables["params"], images)
    got = compiled(variables["params"], images)
    largest = max(float(abs(leaf).max()) for leaf in jax.tree.leaves(expected[0]))
    for tree, wanted, scale in zip(got, expected, (largest, 1), strict=True):
        for (path, leaf), want in zip(jax.tree.leaves_with_path(tree), jax.tree.leaves(wanted), strict=True):
            assert float(abs(want).max()) > 0, path
            np.testing.assert_allclose(leaf, want, atol=1e-4 * scale, err_msg=str(path))
