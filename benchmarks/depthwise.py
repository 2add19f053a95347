"""Time the depthwise 7x7 convolution in its two forms on this machine: `python benchmarks/depthwise.py`.

For the four sizes of ConvNeXt-Tiny at 112 px and batch 4, it prints milliseconds (best of five) of the value, and of
the value with both gradients, for XLA's grouped convolution and for the form that this platform gets, and their ratio.
"""

import time
from collections.abc import Callable

import jax
from jax import Array

from fakedetect_jax.models.spatial.depthwise import depthwise_conv, native_conv

SIZES = [(28, 96), (14, 192), (7, 384), (3, 768)]
BATCH = 4


def milliseconds(function: Callable[..., object], *arguments: Array) -> float:
    """Return the best of five calls after a first one that compiles."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def with_gradients(conv: Callable[..., Array]) -> Callable[..., object]:
    """Return a jitted function to the value and gradients of a convolution, with its value as cotangent."""

    def run(x: Array, kernel: Array) -> tuple[Array, ...]:
        value, pull = jax.vjp(conv, x, kernel)
        return value, *pull(value)

    return jax.jit(run)


def main() -> None:
    """Print one line for each size."""
    print("size x channels   value: native / ours = ratio   with gradients: native / ours = ratio")
    for size, channels in SIZES:
        x = jax.random.normal(jax.random.key(0), (BATCH, size, size, channels))
        kernel = jax.random.normal(jax.random.key(1), (7, 7, channels))
        cells = [f"{size:3d} x {channels:4d}"]
        for wrap in (jax.jit, with_gradients):
            native, ours = (milliseconds(wrap(conv), x, kernel) for conv in (native_conv, depthwise_conv))
            cells.append(f"{native:8.1f} / {ours:6.1f} = {native / ours:5.1f}")
        print("      ".join(cells), flush=True)


if __name__ == "__main__":
    main()
