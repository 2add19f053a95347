"""Gradients over a sharded batch: the same numbers, and no communication but their sum."""

import os
import subprocess
import sys

# Eight devices must be asked for before jax starts, hence a process of its own.
SCRIPT = """
import re
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from fakedetect_jax import models

model = models.create(
    "detector", spatial={"depths": (1, 1), "dims": (8, 16), "drop_path": 0.3}, frequency={"widths": (8, 16)},
    temporal={"layers": 1, "heads": 2, "dim": 16}, dropout=0.1,
)
frames = jax.random.uniform(jax.random.key(0), (8, 2, 16, 16, 3))
valid = jax.random.bernoulli(jax.random.key(1), 0.7, (8, 2))
variables = jax.jit(model.init)(jax.random.key(2), frames)

def gradient(variables, frames, valid, key):
    def loss(variables):
        logit, out = model.apply(variables, frames, valid=valid, train=True, rngs={"dropout": key})
        return (logit**2).mean() + (out["frame_logit"] ** 2).mean()
    return jax.grad(loss)(variables)

mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
split, whole = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
sharded = jax.jit(gradient, in_shardings=(whole, split, split, whole), out_shardings=whole)
arguments = (variables, frames, valid, jax.random.key(3))
compiled = sharded.lower(*arguments).compile()
collectives = set(re.findall(
    r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\\(", compiled.as_text()
))
assert collectives == {"all-reduce"}, collectives
expected = jax.jit(gradient)(*arguments)
largest = max(float(abs(leaf).max()) for leaf in jax.tree.leaves(expected))
assert largest > 1e-3, largest
for got, want in zip(jax.tree.leaves(compiled(*arguments)), jax.tree.leaves(expected)):
    np.testing.assert_allclose(got, want, atol=1e-5 * largest)
print("eight devices agree with one:", len(jax.devices()))
"""


def test_eight_devices_give_the_gradient_of_one_with_all_reduce_only():
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "one: 8" in done.stdout
