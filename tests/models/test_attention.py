"""Attention in chunks: the same as in one piece, and without the weights of all pairs at once."""

import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fakedetect_jax.models.attention import CHUNK, attend

QUERIES, KEYS, HEADS, WIDTH = 21, 13, 2, 4


def _tokens(n=4):
    rng = np.random.default_rng(0)
    return tuple(
        rng.normal(size=(n, count, HEADS, WIDTH)).astype(np.float32) for count in (QUERIES, KEYS, KEYS)
    )


def _value_and_gradients(chunk):
    def loss(tokens):
        out = attend(*tokens, chunk=chunk)
        return (out**3).sum(), out

    return lambda tokens: jax.value_and_grad(loss, has_aux=True)(tokens)


def _sizes(jaxpr):
    """The sizes of all intermediate arrays, those of inner programs too."""
    for equation in jaxpr.eqns:
        yield from (variable.aval.size for variable in equation.outvars)
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from _sizes(inner)


def test_values_and_gradients_equal_torch_for_any_chunk():
    tokens = _tokens()
    theirs = [torch.tensor(x.transpose(0, 2, 1, 3).astype(np.float64), requires_grad=True) for x in tokens]
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs)
    (expected**3).sum().backward()
    for chunk in (5, 7, 21):
        (_, out), gradients = jax.jit(_value_and_gradients(chunk))(tokens)
        np.testing.assert_allclose(out, expected.detach().numpy().transpose(0, 2, 1, 3), atol=1e-5)
        for got, want in zip(gradients, theirs, strict=True):
            np.testing.assert_allclose(got, want.grad.numpy().transpose(0, 2, 1, 3), atol=1e-4)


def test_neither_direction_holds_the_weights_of_all_pairs():
    def largest(chunk):
        program = jax.make_jaxpr(_value_and_gradients(chunk))(tokens)
        return max(_sizes(program.jaxpr))

    # The map of M2TR at 320 px; 6400 queries in 13 chunks.
    tokens = tuple(jax.ShapeDtypeStruct((1, 6400, 1, 32), jnp.float32) for _ in range(3))
    assert largest(6400) == 6400 * 6400
    assert largest(CHUNK) == 493 * 6400


def test_a_sharded_batch_needs_no_communication_and_programs_no_gathers():
    tokens = _tokens()
    step = _value_and_gradients(7)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    split = NamedSharding(mesh, PartitionSpec("data"))
    compiled = jax.jit(lambda tokens: step(tokens)[1], in_shardings=split, out_shardings=split)
    text = compiled.lower(tokens).compile().as_text()
    assert not re.findall(r" (?:all-\w+|collective-permute|reduce-scatter)(?:-start)?\(", text)
    (batch,) = jax.export.symbolic_shape("b")
    shapes = [jax.ShapeDtypeStruct((batch, *x.shape[1:]), jnp.float32) for x in tokens]
    exported = jax.export.export(jax.jit(lambda *tokens: attend(*tokens, chunk=7)))(*shapes)
    assert not re.search(r"stablehlo\.\w*(gather|scatter)", exported.mlir_module())
    got = exported.call(*(x[:3] for x in tokens))
    np.testing.assert_allclose(got, attend(*(x[:3] for x in tokens)), atol=1e-5)


def test_weights_of_narrow_tokens_are_wide():
    narrow = [jnp.asarray(x, jnp.bfloat16) for x in _tokens()]
    got = attend(*narrow, chunk=7)
    assert got.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(got, np.float32), attend(*_tokens()), atol=3e-2)
