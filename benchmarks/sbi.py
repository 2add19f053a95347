"""Pairs a second of self-blending on this machine's default device: `python benchmarks/sbi.py`.

Random frames serve: the work does not depend on what is in them. Figures are medians over whole batches, with
frames already on the device and compilation apart.
"""

import os
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from fakedetect_jax.augment import SelfBlendRecipe, face_crop, self_blend

BATCH = 8
REPEATS = 10


def example_batch(length: int) -> tuple[jax.Array, jax.Array]:
    """Stored crops [BATCH, length, 256, 256, 3] in [0, 1] and landmarks on a circle in their middle."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0.0, 2.0 * np.pi, (BATCH, length, 81))
    landmarks = 128.0 + 70.0 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    frames = rng.random((BATCH, length, 256, 256, 3), dtype=np.float32)
    return jnp.asarray(frames), jnp.asarray(landmarks, jnp.float32)


def measure(name: str, size: int, length: int) -> None:
    """Print one line: compile time, and clips and frames a second by wall time and by processor time."""
    recipe = SelfBlendRecipe(size=size)
    frames, landmarks = example_batch(length)
    keys = jax.random.split(jax.random.key(0), BATCH)
    run = {
        "self_blend": jax.vmap(lambda k, f, p: self_blend(k, f, p, recipe=recipe)),
        "face_crop": jax.vmap(lambda k, f, p: face_crop(f, p, size=size)),
    }[name]
    start = time.perf_counter()
    program = jax.jit(run).lower(keys, frames, landmarks).compile()
    compiling = time.perf_counter() - start
    jax.block_until_ready(program(keys, frames, landmarks))
    wall, processor = [], []
    for _ in range(REPEATS):
        start, used = time.perf_counter(), time.process_time()
        jax.block_until_ready(program(keys, frames, landmarks))
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    clips = BATCH / statistics.median(wall)
    print(
        f"{name:10} size {size} T {length}: {clips:7.1f} clips/s, {clips * length:7.1f} frames/s, "
        f"{1e3 * statistics.median(processor) / BATCH / length:6.2f} ms of one core a frame, "
        f"compiled in {compiling:.1f} s",
        flush=True,
    )


def main() -> None:
    """Measure the sizes of the demo and of the full recipe."""
    print(f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, B={BATCH}")
    for size in (112, 224):
        measure("self_blend", size, 1)
    for length in (2, 4):
        measure("self_blend", 112, length)
    measure("face_crop", 112, 1)


if __name__ == "__main__":
    main()
