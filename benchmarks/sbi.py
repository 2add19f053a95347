"""Compare self-blending with an OpenCV pipeline on one core, in one run: `python -m benchmarks.sbi`.

The pipeline is the judge of the tests: 8-bit look-up tables, and OpenCV for everything. Usual pipelines make the
elastic field with SciPy's Gaussian filter; it is timed with SciPy's and with OpenCV's. Both sides start from stored
uint8 crops of one frame and end with a pair at the model's size; ours makes eight pairs at a time. Figures are
medians of interleaved rounds in processor time, without compilation. The notable operations of the compiled program
are printed last.
"""

import collections
import os
import re
import statistics
import time
from collections.abc import Callable

if hasattr(os, "sched_setaffinity"):  # Linux: one core, and one thread of the compiler's pool
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from fakedetect_jax.augment import SelfBlendRecipe, self_blend
from fakedetect_jax.augment.recipe import reference
from tests.augment import opencv_judge as judge
from tests.augment.conftest import face_landmarks, smooth_image

BATCH, ROUNDS = 8, 12
NOTED = ("gather", "scatter", "sort", "custom-call", "while", "dynamic-slice", "dot", "fusion")


def make_ours(
    image: np.ndarray, landmarks: np.ndarray, recipe: SelfBlendRecipe
) -> tuple[Callable[[], None], str]:
    """Return a call that makes BATCH pairs, and the compiled program's text."""

    def pairs(keys: jax.Array, frames: jax.Array, points: jax.Array) -> jax.Array:
        unit = frames.astype(jnp.float32) / 255.0
        return jax.vmap(lambda k, f, p: self_blend(k, f, p, recipe=recipe))(keys, unit, points)

    frames, points = (
        jnp.asarray(np.stack([value] * BATCH)[:, None]) for value in (image, landmarks.astype(np.float32))
    )
    keys = jax.random.split(jax.random.key(0), BATCH)
    program = jax.jit(pairs).lower(keys, frames, points).compile()
    return lambda: jax.block_until_ready(program(keys, frames, points)), program.as_text()


def scipy_displacement(rng: np.random.Generator, shape: tuple[int, int]) -> list[np.ndarray]:
    """Make the elastic field as usual pipelines do."""
    noise = rng.uniform(-1, 1, (2, *shape))
    return [(50.0 * scipy.ndimage.gaussian_filter(field, 7.0)).astype(np.float32) for field in noise]


def make_judge(
    image: np.ndarray, landmarks: np.ndarray, size: int, displacement: Callable
) -> Callable[[], None]:
    """Return a call that makes BATCH pairs of the single-hull recipe."""
    rng = np.random.default_rng(0)

    def run() -> None:
        for _ in range(BATCH):
            parameters = judge.draw(
                rng, hulls={"face": 0.75, "no_forehead": 0.25}, hue=0.3, saturation=0.3, value=0.3
            )
            field = displacement(rng, image.shape[:2])
            judge.pair(image, landmarks, parameters, field, size=size, eight_bit=True)

    return run


def compare(stored: int, size: int) -> str:
    """Print the pairs a second of all sides, and return our program's text."""
    image = np.round(smooth_image(0, stored) * 255).astype(np.uint8)
    landmarks = face_landmarks((stored / 2, stored * 0.53), stored / 2)
    single = reference(size=size, temporal="shared", reference_face=stored / 2)
    ours, text = make_ours(image, landmarks, single)
    default, _ = make_ours(image, landmarks, SelfBlendRecipe(size=size, reference_face=stored / 2))
    sides = {
        "ours, preset reference": ours,
        "ours, default recipe": default,
        "OpenCV, elastic by SciPy": make_judge(image, landmarks, size, scipy_displacement),
        "OpenCV throughout": make_judge(image, landmarks, size, judge.random_displacement),
    }
    seconds = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, run in sides.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    rate = {name: BATCH / statistics.median(values[1:]) for name, values in seconds.items()}
    print(f"{stored} -> {size}")
    for name, pairs in rate.items():
        print(
            f"  {name:26} {pairs:7.1f} pairs/s, {rate['ours, preset reference'] / pairs:5.2f} of ours to it"
        )
    return text


def main() -> None:
    """Compare at the two sizes, and list the operations."""
    cv2.setNumThreads(1)
    print(f"one core of {os.cpu_count()}, load {os.getloadavg()[0]:.1f}, {BATCH} pairs a call")
    for stored, size in ((288, 224), (448, 380)):
        text = compare(stored, size)
    found = collections.Counter(re.findall(r"= \S+ ([a-z-]+)\(", text))
    print("operations:", ", ".join(f"{name} {found[name]}" for name in NOTED))


if __name__ == "__main__":
    main()
