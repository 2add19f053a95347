"""The demo: the whole path on the embedded dataset, in minutes on two CPU cores.

fakedetect build mini_forensics --out data
fakedetect train --config demo --workdir runs/demo
fakedetect export --config demo --workdir runs/demo
fakedetect evaluate --config demo --workdir runs/demo

It trains on the real clips of the train split alone, with self-blended fakes, and is tested on people and three forgery
methods that it never saw. `fakedetect sweep --config demo --workdir runs/demo_seeds` repeats it with three seeds.
"""

from collections.abc import Iterator
from typing import Any

from fakedetect_jax.config import Config
from fakedetect_jax.configs import base


def get_config(arg: str = "") -> Config:
    """Return the config; it takes no argument."""
    base.check_argument(arg)
    config = base.get_config()
    config.name = "demo"

    config.data.train.mini_forensics = base.source("mini_forensics", "train", ("real",))
    # Successive frames, because motion is the one thing that so few people can teach.
    config.clip.frames = 4
    config.clip.stride = 0.04
    config.clip.interval = 0.16
    config.clip.size = 128

    config.input.recipe.temporal = "drift"
    config.input.recipe.shared_hsv_probability = 0.5
    config.input.recipe.shared_brightness_contrast_probability = 0.5
    config.input.recipe.margin = (0.0, 0.3)

    # There is no spatial part, because a ConvNeXt learns nothing from scratch in so few steps.
    config.model.options = {"motion": {"cell": 8, "widths": (16, 32, 64), "filters": 3}}

    config.optimizer.learning_rate = 4e-3
    config.optimizer.warmup_steps = 50
    config.optimizer.ema_decay = 0.98
    config.train.steps = 400
    config.train.batch_size = 8
    config.train.checkpoint_every = 100

    config.validation.sources.mini_forensics = base.source("mini_forensics", "validation", ("real",))
    config.validation.every = 100
    config.validation.batch_size = 16

    config.evaluation.sources.mini_forensics = base.source("mini_forensics", "test")
    config.evaluation.batch_size = 16
    return config


def sweep() -> Iterator[dict[str, Any]]:
    """Yield the three seeds that docs/demo.md reports."""
    for seed in range(3):
        yield {"seed": seed}
