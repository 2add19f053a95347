"""The shifted form against XLA's own grouped convolution."""

import functools
import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax.models.spatial.depthwise import depthwise_conv, native_conv

# Wider than one block of unrolled columns; smaller than the kernel; a 5x5 kernel.
SHAPES = [((2, 9, 35, 6), 7), ((3, 3, 2, 4), 7), ((1, 8, 8, 3), 5)]
# Stride 2 with equal padding, with that of TensorFlow for even sizes, over more columns than are unrolled; none.
STRIDED = [
    ((2, 9, 7, 6), 3, 2, None),
    ((2, 8, 9, 3), 3, 2, ((0, 1), (1, 1))),
    ((1, 6, 38, 4), 5, 2, ((1, 2), (1, 2))),
    ((1, 11, 8, 2), 3, 3, ((0, 0), (0, 0))),
]


def _example(shape, k, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0), 3)
    x, cotangent = (jax.random.normal(key, shape).astype(dtype) for key in keys[:2])
    return x, jax.random.normal(keys[2], (k, k, shape[-1])), cotangent


@functools.partial(jax.jit, static_argnums=0)
def _with_gradients(conv, x, kernel, cotangent):
    value, pull = jax.vjp(conv, x, kernel)
    return value, pull(cotangent)


@pytest.mark.parametrize(("shape", "k"), SHAPES)
def test_values_and_gradients_equal_the_native_convolution(shape, k):
    x, kernel, cotangent = _example(shape, k)
    value, gradients = _with_gradients(depthwise_conv, x, kernel, cotangent)
    expected, expected_gradients = _with_gradients(native_conv, x, kernel, cotangent)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=2e-5)
    for got, want in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("shape", "k", "stride", "padding"), STRIDED)
def test_strides_and_uneven_padding_equal_the_native_convolution(shape, k, stride, padding):
    x, kernel, _ = _example(shape, k)
    options = {"stride": stride, "padding": padding}
    cotangent = jax.random.normal(
        jax.random.key(1), jax.eval_shape(functools.partial(native_conv, **options), x, kernel).shape
    )
    value, gradients = _with_gradients(
        lambda x, kernel: depthwise_conv(x, kernel, stride, padding), x, kernel, cotangent
    )
    expected, expected_gradients = _with_gradients(
        functools.partial(native_conv, **options), x, kernel, cotangent
    )
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=2e-5)
    for got, want in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_a_symbolic_batch_needs_no_gather():
    (batch,) = jax.export.symbolic_shape("b")
    x = jax.ShapeDtypeStruct((batch, 8, 8, 4), jnp.float32)
    kernel = jax.ShapeDtypeStruct((3, 3, 4), jnp.float32)
    strided = jax.jit(lambda x, kernel: depthwise_conv(x, kernel, 2))
    for platform in ("cpu", "tpu"):
        text = jax.export.export(strided, platforms=(platform,))(x, kernel).mlir_module()
        assert not re.search(r"stablehlo\.\w*gather", text), platform


def test_bfloat16_sums_in_float32():
    x, kernel, cotangent = _example((2, 16, 16, 8), 7, jnp.bfloat16)
    value, (dx, dkernel) = _with_gradients(depthwise_conv, x, kernel, cotangent)
    expected, (expected_dx, expected_dkernel) = _with_gradients(
        native_conv, x.astype(jnp.float32), kernel, cotangent.astype(jnp.float32)
    )
    assert (value.dtype, dx.dtype, dkernel.dtype) == (jnp.bfloat16, jnp.bfloat16, jnp.float32)
    # Half a unit in the last of bfloat16's 8 bits; the kernel's gradient is never rounded.
    np.testing.assert_allclose(value.astype(jnp.float32), expected, rtol=2**-8, atol=1e-4)
    np.testing.assert_allclose(dx.astype(jnp.float32), expected_dx, rtol=2**-8, atol=1e-4)
    np.testing.assert_allclose(dkernel, expected_dkernel, rtol=1e-4, atol=1e-3)


def test_vmap_equals_a_loop():
    x, kernel, _ = _example((2, 3, 9, 8, 4), 7)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(depthwise_conv, (0, None)))(x, kernel),
        jnp.stack([jax.jit(depthwise_conv)(example, kernel) for example in x]),
        atol=1e-5,
    )


def test_accelerators_get_one_native_convolution():
    x, kernel, _ = _example((1, 8, 8, 4), 7)
    lowered = jax.jit(depthwise_conv).trace(x, kernel)
    assert "stablehlo.convolution" in lowered.lower(lowering_platforms=("tpu",)).as_text()
    assert "stablehlo.convolution" not in lowered.lower(lowering_platforms=("cpu",)).as_text()
