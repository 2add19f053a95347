"""Every field there is, with its default. An experiment takes this and changes what is its own.

A field that is not here does not exist: a misspelt override is an error, and so is a value of another type.
"""

import dataclasses

from ml_collections import ConfigDict

from fakedetect_jax.augment import SelfBlendRecipe
from fakedetect_jax.config import Config


def source(
    dataset: str, split: str, methods: tuple[str, ...] = (), limit: int = 0, shared_people: str = "refuse"
) -> Config:
    """A part of a built dataset: the named methods of a split (none named: all), the first `limit` videos (0: all).

    In evaluation, `shared_people` decides what becomes of videos of people whom the detector learned from: 'refuse'
    ends the evaluation with an error, 'drop' leaves them out, 'keep' measures on them too.
    """
    return ConfigDict(
        {
            "dataset": dataset,
            "split": split,
            "methods": methods,
            "limit": limit,
            "shared_people": shared_people,
        }
    )


def get_config() -> Config:
    """Returns the defaults. The sources of data are left empty, for the experiment to name."""
    config: Config = ConfigDict()
    config.name = "unnamed"
    config.seed = 0

    config.data = ConfigDict()
    config.data.folder = "data"  # where `fakedetect build --out` wrote
    config.data.train = ConfigDict()  # any key -> source(...)
    config.data.threads = 4  # that decode, in this process ...
    config.data.workers = 0  # ... or processes, each with its threads
    config.data.prefetch = 4  # batches ready ahead

    # What a clip is, in training, validation, evaluation and use; how the face crops were made is read from the data.
    config.clip = ConfigDict()
    config.clip.frames = 8
    # Seconds from one frame of a clip to the next: 0.16 are 4 frames of a video with 25 a second.
    config.clip.stride = 0.16
    # Seconds of a video to every clip, in validation, evaluation and use. Training draws one clip of a video an epoch.
    config.clip.interval = 5.0
    # Side of the model's input, in pixels.
    config.clip.size = 224
    # Room around the face in the model's input, as a fraction of the face's width and height, where nothing is drawn
    # at random.
    config.clip.margin = 0.125

    config.input = ConfigDict()
    # self_blend: every clip becomes a pair of itself and its self-blended image; recorded: labels as recorded.
    config.input.fakes = "self_blend"
    config.input.recipe = ConfigDict(dataclasses.asdict(SelfBlendRecipe()))
    del config.input.recipe.size  # config.clip.size decides it

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

    config.evaluation = ConfigDict()
    config.evaluation.sources = ConfigDict()
    config.evaluation.batch_size = 32
    config.evaluation.resamples = 1000  # of the bootstrap
    return config
