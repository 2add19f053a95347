"""Gradients over a sharded batch: the same numbers, and no communication but their sum."""

import re

import jax
import numpy as np

from fakedetect_jax import models, parallel
from fakedetect_jax.models.clip import Clip
from tests.models.published.parity import random_variables

COLLECTIVES = r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\("


def test_eight_devices_give_the_gradient_of_one_with_all_reduce_only():
    model = models.create(
        "detector",
        spatial={"depths": (1, 1), "dims": (8, 16), "drop_path": 0.3},
        frequency={"widths": (8, 16)},
        temporal={"layers": 1, "heads": 2, "dim": 16},
        dropout=0.1,
    )
    rng = np.random.default_rng(0)
    frames, valid = rng.random((8, 2, 16, 16, 3)).astype(np.float32), rng.random((8, 2)) < 0.7

    def gradient(variables, frames, valid, key):
        def loss(variables):
            logit, out = model.apply(variables, Clip(frames, valid=valid), train=True, rngs={"dropout": key})
            return (logit**2).mean() + (out["frame_logit"] ** 2).mean()

        return jax.grad(loss)(variables)

    mesh = parallel.make_mesh()
    assert mesh.size == 8
    whole, split = parallel.replicated(mesh), parallel.split_by_example(mesh)
    sharded = jax.jit(gradient, in_shardings=(whole, split, split, whole), out_shardings=whole)
    arguments = (random_variables(model, frames), frames, valid, jax.random.key(3))
    compiled = sharded.lower(*arguments).compile()
    assert set(re.findall(COLLECTIVES, compiled.as_text())) == {"all-reduce"}
    expected = jax.jit(gradient)(*arguments)
    largest = max(float(abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    assert largest > 1e-3
    for got, want in zip(jax.tree.leaves(sharded(*arguments)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 * largest)
