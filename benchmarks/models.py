"""Time ConvNeXt-Tiny beside PyTorch on this machine's CPU: `python benchmarks/models.py`.

Both nets have random weights and all cores, and see a batch of 8 at 224 pixels in float32. Figures are medians of the
wall time of interleaved rounds, without compilation.
"""

import os
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
from transformers import ConvNextConfig, ConvNextForImageClassification

from fakedetect_jax import models

BATCH, SIZE, ROUNDS = 8, 224, 5


def make_ours() -> dict[str, Callable[[], object]]:
    """Compile calls of the forward pass and of the gradient, and print how long each compilation took."""
    model = models.create("convnext_tiny")
    clip = models.Clip(jnp.zeros((BATCH, 1, SIZE, SIZE, 3), jnp.float32))
    variables = jax.jit(model.init)(jax.random.key(0), clip)

    def forward(variables: dict) -> jax.Array:
        return model.apply(variables, clip)[0].sum()

    calls = {}
    for name, function in (("forward", forward), ("forward and backward", jax.grad(forward))):
        start = time.perf_counter()
        program = jax.jit(function).lower(variables).compile()
        print(f"{name}: compiled in {time.perf_counter() - start:.1f} s", flush=True)
        calls[name] = lambda program=program: jax.block_until_ready(program(variables))
    return calls


def make_torch() -> dict[str, Callable[[], object]]:
    """Return the same calls of Hugging Face's ConvNext with one logit."""
    net = ConvNextForImageClassification(ConvNextConfig(num_labels=1)).eval()
    images = torch.zeros(BATCH, 3, SIZE, SIZE)

    def forward() -> object:
        with torch.no_grad():
            return net(images).logits.sum()

    def both() -> None:
        net.zero_grad()
        net(images).logits.sum().backward()

    return {"forward": forward, "forward and backward": both}


def main() -> None:
    """Print seconds and ratios."""
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, jax {jax.__version__}"
    )
    ours, theirs = make_ours(), make_torch()
    for name in ours:
        seconds = {"ours": [], "torch": []}
        for _ in range(ROUNDS):
            for side, call in (("ours", ours[name]), ("torch", theirs[name])):
                start = time.perf_counter()
                call()
                seconds[side].append(time.perf_counter() - start)
        median = {side: statistics.median(values[1:]) for side, values in seconds.items()}
        ratio = np.divide(median["ours"], median["torch"])
        print(f"{name}: ours {median['ours']:.2f} s, torch {median['torch']:.2f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
