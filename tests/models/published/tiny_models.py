"""Every whole video model in a size that compiles quickly, with variables and clips."""

import jax
import numpy as np

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published import PUBLISHED
from tests.models.published.parity import clips, random_variables

# name: (options, frames, pixels a side)
TINY = {
    "meso4": ({}, 4, 32),
    "meso_inception4": ({}, 4, 32),
    "resnext_lstm": (
        {"variant": None, "depths": (1, 1), "groups": 2, "group_width": 2, "stem": 4, "dim": 6},
        5,
        16,
    ),
    "c3d": ({"widths": (4, 4, 8, 8, 8), "hidden": 16}, 17, 16),
    "i3d": ({"width": 1 / 32}, 17, 16),
    "r2plus1d": ({"layers": 10, "width": 4}, 6, 16),
    "cnn3d": ({"layers": 10, "width": 4, "temporal_options": {"dim": 6}}, 6, 16),
    "ftcn": (
        {"depths": (1, 1, 1), "width": 2, "heads": 2, "head_dim": 4, "mlp": 8, "max_frames": 8},
        6,
        16,
    ),
    "m2tr": ({"variant": None, "width": 0.2, "depth": 0.1, "layers": 1}, 3, 32),
}


def tiny_model(name, **more):
    return PUBLISHED[name](**TINY[name][0], **more)


class Example:
    """A tiny model with variables, three clips and its compiled application."""

    def __init__(self, name):
        self.name, self.model = name, tiny_model(name)
        _, t, size = TINY[name]
        self.frames = clips(3, t, size)
        self.variables = random_variables(self.model, self.frames)
        # The first and last frames, one in the middle, and all frames of a clip do not count.
        place = np.arange(t)
        self.valid = np.stack([(place > 0) & (place < t - 1), place != t // 2, place < 0])
        self.apply = jax.jit(lambda v, frames, valid: self.model.apply(v, Clip(frames, valid=valid)))

    def __call__(self, frames=None, valid=None):
        frames = self.frames if frames is None else frames
        valid = np.ones(frames.shape[:2], bool) if valid is None else valid
        return self.apply(self.variables, frames, valid)
