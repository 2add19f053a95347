"""A run of seconds on the tiny dataset of tests/tiny_dataset.py."""

from fakedetect_jax.configs import base


def get_config():
    config = base.get_config()
    config.name = "tiny"
    config.data.train.tiny = base.source("tiny_faces", "train", ("real",))
    config.clip.frames = 2
    config.clip.stride = 0.08
    config.clip.interval = 0.3
    config.clip.size = 32
    config.model.options = {
        "spatial": {"depths": (1, 1), "dims": (8, 16)},
        "temporal": {"layers": 1, "heads": 2, "dim": 16, "max_frames": 8},
    }
    config.optimizer.warmup_steps = 2
    config.train.steps = 16
    config.train.batch_size = 8
    config.train.log_every = 1
    config.train.checkpoint_every = 4
    config.validation.sources.tiny = base.source("tiny_faces", "validation", ("real",))
    config.validation.every = 8
    config.validation.batch_size = 8
    config.evaluation.sources.tiny = base.source("tiny_faces", "test")
    config.evaluation.batch_size = 8
    config.evaluation.resamples = 50
    return config
