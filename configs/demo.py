"""Two CPU cores, minutes: the whole path on the embedded dataset.

fakedetect build mini_forensics --out data
python launch.py --config configs/demo.py --workdir runs/demo --mode train

Trains on the real clips of the train split alone; self-blending makes the fakes. Tested on people and three
forgery methods that it never saw.
"""

from configs import base
from fakedetect_jax.config import Config


def get_config() -> Config:
    """Returns the config of the demo."""
    config = base.get_config()
    config.name = "demo"

    config.data.train.mini_forensics = base.source("mini_forensics", "train", ("real",))
    # One frame a clip: at this scale, more different examples teach more than more frames of one.
    config.data.frames = 1

    # The stored crops nearly pixel for pixel: the traces that are left after shrinking do not carry over to new people.
    config.input.recipe.size = 192
    config.input.recipe.shared_hsv_probability = 0.5
    config.input.recipe.shared_brightness_contrast_probability = 0.5
    config.input.recipe.margin = (0.0, 0.3)

    # No spatial and no temporal part: from scratch, in so few steps, a ConvNeXt learns nothing.
    config.model.options = {"frequency": {"cell": 8, "widths": (16, 32, 64), "filters": 3}}

    config.optimizer.learning_rate = 4e-3
    config.optimizer.warmup_steps = 50
    config.optimizer.ema_decay = 0.99
    config.train.steps = 500
    config.train.batch_size = 16
    config.train.checkpoint_every = 100

    config.validation.sources.mini_forensics = base.source("mini_forensics", "validation", ("real",))
    config.validation.every = 100
    config.validation.batch_size = 16
    config.validation.repeats = 8

    config.evaluation.sources.mini_forensics = base.source("mini_forensics", "test")
    config.evaluation.batch_size = 16
    config.evaluation.clips = 8
    return config
