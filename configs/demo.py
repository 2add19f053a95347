"""Two CPU cores, minutes: the whole path on the embedded dataset.

fakedetect build mini_forensics --out data
python launch.py --config configs/demo.py --workdir runs/demo --mode train

Trains on the real clips of the train split alone; self-blending makes the fakes. Tested on people and three
forgery methods that it never saw.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """Returns the config of the demo."""
    config = base.get_config()
    config.name = "demo"

    config.data.train.mini_forensics = base.source("mini_forensics", "train", ("real",))
    config.data.frames = 4
    config.data.stride = 2

    config.input.recipe.size = 112

    config.model.options = {
        "spatial": {"depths": (1, 1, 3, 1), "dims": (24, 48, 96, 192)},
        "frequency": {},
        "temporal": {"layers": 1, "heads": 4, "dim": 128, "max_frames": 16},
    }
    config.optimizer.learning_rate = 2e-3
    config.optimizer.warmup_steps = 30
    config.optimizer.ema_decay = 0.99
    config.train.steps = 400
    config.train.batch_size = 8
    config.train.checkpoint_every = 100

    config.validation.sources.mini_forensics = base.source("mini_forensics", "validation", ("real",))
    config.validation.every = 100
    config.validation.batch_size = 8
    config.validation.repeats = 2

    config.evaluation.sources.mini_forensics = base.source("mini_forensics", "test")
    config.evaluation.batch_size = 8
    return config
