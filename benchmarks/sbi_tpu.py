"""Estimate self-blending's share of a train step on a TPU from the compiler alone: `python benchmarks/sbi_tpu.py`.

It needs the extra [tpu] but no TPU: the step of ConvNeXt-Tiny at 224 pixels is compiled ahead of time for one chip of
a v5e. Printed are the compiler's estimated cycles within and outside self-blending, the program's notable operations,
and the memory of the step with and without self-blending. It takes ten minutes on one core.
"""

import collections
import os
import re

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh

from fakedetect_jax import experiment
from fakedetect_jax.configs import sbi_convnext_tiny
from fakedetect_jax.faces.landmarks import LANDMARKS
from fakedetect_jax.training.inputs import SELF_BLEND
from fakedetect_jax.training.state import create_state
from fakedetect_jax.training.step import compile_step

CLIPS, FRAMES, STORED = 32, 1, 288
# Operations to avoid: each computation has a form without them.
NOTED = ("gather", "scatter", "sort", "all-gather", "all-to-all", "infeed", "outfeed", "send", "recv")


def compiled_step(fakes: str, clips: int) -> str:
    """Print the compiled program's memory, and return its text."""
    config = sbi_convnext_tiny.get_config()
    config.clip.frames, config.train.batch_size, config.input.fakes = FRAMES, clips, fakes
    config.model.options = {"spatial": {"variant": "tiny", "gelu": "tanh"}, "dtype": "bfloat16"}
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    step = experiment.make_step(config, model, optimizer)
    state = jax.eval_shape(
        lambda: create_state(model, optimizer, seed=0, frames=FRAMES, size=config.clip.size)
    )
    clip = (clips, FRAMES)
    batch = {
        "frames": jax.ShapeDtypeStruct((*clip, STORED, STORED, 3), np.uint8),
        "landmarks": jax.ShapeDtypeStruct((*clip, LANDMARKS, 2), np.float32),
        "timestamps": jax.ShapeDtypeStruct(clip, np.float32),
        "valid": jax.ShapeDtypeStruct(clip, np.bool_),
        "label": jax.ShapeDtypeStruct((clips,), np.int32),
        "weight": jax.ShapeDtypeStruct((clips,), np.float32),
        "identity": jax.ShapeDtypeStruct((clips,), np.int32),
        "method": jax.ShapeDtypeStruct((clips,), np.int32),
    }
    chips = topologies.get_topology_desc(platform="tpu", topology_name="v5e:2x2").devices
    mesh = Mesh(np.array(chips[:1]), ("data",))
    program = compile_step(step, mesh).lower(state, batch).compile()
    memory = program.memory_analysis()
    temporary = memory.temp_size_in_bytes / 2**30
    print(
        f"fakes {fakes}, {clips} clips of {FRAMES} frames: temporary memory {temporary:.2f} GiB", flush=True
    )
    return program.as_text()


def main() -> None:
    """Compile the steps, and print the sums."""
    text = compiled_step("self_blend", CLIPS)
    compiled_step("recorded", 2 * CLIPS)
    cycles = collections.Counter()
    for line in text.splitlines():
        estimate = re.search(r'"estimated_cycles":"(\d+)"', line)
        if estimate:
            part = SELF_BLEND if SELF_BLEND in line else "the rest"
            cycles[part] += int(estimate[1])
    total = sum(cycles.values())
    for part, count in cycles.most_common():
        print(f"{part:12} {count / 1e6:8.2f} M cycles, {100 * count / total:5.1f} %")
    found = collections.Counter(re.findall(r"= \S+ ([a-z-]+)\(", text))
    print(
        "operations:", ", ".join(f"{name} {found[name]}" for name in NOTED if found[name]) or "none of note"
    )


if __name__ == "__main__":
    main()
