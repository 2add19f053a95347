"""Every field there is, with its default. An experiment takes this and changes what is its own.

A field that is not here does not exist: a misspelt override is an error, and so is a value of another type.
"""

import dataclasses

from ml_collections import ConfigDict

from fakedetect_jax.augment import SelfBlendRecipe
from fakedetect_jax.config import Config


def source(dataset: str, split: str, methods: tuple[str, ...] = (), limit: int = 0) -> Config:
    """A part of a built dataset: the named methods of a split (none named: all), the first `limit` (0: all)."""
    return ConfigDict({"dataset": dataset, "split": split, "methods": methods, "limit": limit})


def get_config() -> Config:
    """Returns the defaults. The sources of data are left empty, for the experiment to name."""
    config: Config = ConfigDict()
    config.name = "unnamed"
    config.seed = 0

    config.data = ConfigDict()
    config.data.folder = "data"  # where `fakedetect build --out` wrote
    config.data.train = ConfigDict()  # any key -> source(...)
    config.data.frames = 8  # frames a clip, in training, validation and evaluation
    config.data.stride = 4  # source frames from one to the next, in training
    config.data.spacing = (
        0  # the most that they are apart in validation and evaluation; 0: evenly over the clip
    )
    config.data.threads = 4  # that decode, in this process ...
    config.data.workers = 0  # ... or processes, each with its threads
    config.data.prefetch = 4  # batches ready ahead

    config.input = ConfigDict()
    # self_blend: every clip becomes a pair of itself and its self-blended image; recorded: labels as recorded.
    config.input.fakes = "self_blend"
    config.input.margin = 0.125  # around the face in validation and evaluation, of its width and height
    config.input.recipe = ConfigDict(dataclasses.asdict(SelfBlendRecipe()))

    config.model = ConfigDict()
    config.model.name = "detector"
    config.model.options = ConfigDict()  # the model's own keyword arguments
    # Where training starts from: a file of weights, hf:owner/name[:file], or "efficientnet_lite0" (extra [pretrained]).
    config.model.init_from = ""
    config.model.init_source = ""  # whose names the file has (timm, torchvision, sbi, ...); none: our own

    config.optimizer = ConfigDict()
    config.optimizer.learning_rate = 1e-3
    config.optimizer.warmup_steps = 100
    config.optimizer.weight_decay = 0.05
    config.optimizer.clip_norm = 1.0
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    config.optimizer.ema_decay = 0.999

    config.train = ConfigDict()
    config.train.steps = 1000
    config.train.batch_size = 32  # clips a step over all devices; self_blend makes a pair of each
    config.train.frame_weight = 0.5  # of the per-frame loss beside the clip's
    config.train.mask_weight = 0.0  # of the predicted blend mask's; the model needs the part `mask`
    config.train.method_weight = 0.0  # of telling methods apart; the model needs their names in `methods`
    config.train.log_every = 10
    config.train.checkpoint_every = 500

    config.validation = ConfigDict()
    config.validation.sources = ConfigDict()
    config.validation.fakes = "self_blend"  # as input.fakes: reals alone can choose the checkpoint
    config.validation.every = 500
    config.validation.batch_size = 32
    config.validation.repeats = 1  # self-blended pairs, or clips, of each track

    config.evaluation = ConfigDict()
    config.evaluation.sources = ConfigDict()
    config.evaluation.batch_size = 32
    config.evaluation.clips = 1  # a track, evenly spread
    config.evaluation.resamples = 1000  # of the bootstrap
    return config
