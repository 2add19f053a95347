"""Whole video models in training: batch statistics, dropout, and what a sharded batch communicates."""

import re

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fakedetect_jax.models.clip import Clip
from tests.models.published.parity import EXACT
from tests.models.published.tiny_models import TINY, Example

COLLECTIVES = r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("


def _shardings():
    mesh = jax.make_mesh((3,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:3])
    return NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())


def _train(example, variables, frames, valid, key):
    return example.model.apply(
        variables,
        Clip(frames, valid=valid),
        train=True,
        rngs={"dropout": key},
        mutable=["batch_stats"],
    )


@pytest.mark.parametrize("name", TINY)
def test_no_garbage_enters_the_statistics_and_devices_exchange_sums_alone(name):
    example = Example(name)
    split, whole = _shardings()
    train = jax.jit(
        lambda *arguments: _train(example, *arguments),
        in_shardings=(whole, split, split, whole),
        out_shardings=(split, whole),
    )
    keys = jax.random.split(jax.random.key(0))
    garbage = np.where(example.valid[..., None, None, None], example.frames, 1 - example.frames)
    compiled = train.lower(example.variables, example.frames, example.valid, keys[0]).compile()
    (logit, _), state = compiled(example.variables, example.frames, example.valid, keys[0])
    (again, _), state_again = compiled(example.variables, garbage.astype(np.float32), example.valid, keys[0])
    np.testing.assert_array_equal(logit, again)
    jax.tree.map(np.testing.assert_array_equal, state, state_again)
    before = jax.tree.leaves(example.variables.get("batch_stats", {}))
    after = jax.tree.leaves(state.get("batch_stats", {}))
    assert all(float(abs(a - b).max()) > 0 for a, b in zip(before, after, strict=True))
    found = set(re.findall(COLLECTIVES, compiled.as_text()))
    # C3D has no batch norm.
    assert found == (set() if name == "c3d" else {"all-reduce"})
    if example.model.dropout:
        assert not np.array_equal(
            logit, compiled(example.variables, example.frames, example.valid, keys[1])[0][0]
        )


def test_a_sharded_batch_has_the_gradient_of_the_whole_with_all_reduces_alone():
    # Convolutions, poolings and batch norms; quick to compile.
    example = Example("meso4")
    split, whole = _shardings()

    def loss(params, frames, valid):
        variables = {**example.variables, "params": params}
        (logit, _), _ = _train(example, variables, frames, valid, jax.random.key(0))
        return (logit**2).mean()

    sharded = jax.jit(
        jax.grad(loss), in_shardings=(whole, split, split), out_shardings=whole, compiler_options=EXACT
    )
    arguments = (example.variables["params"], example.frames, example.valid)
    compiled = sharded.lower(*arguments).compile()
    assert set(re.findall(COLLECTIVES, compiled.as_text())) == {"all-reduce"}
    expected = jax.jit(jax.grad(loss), compiler_options=EXACT)(*arguments)
    largest = max(float(abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    for got, want in zip(jax.tree.leaves(compiled(*arguments)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4 * largest)
