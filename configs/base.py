"""Every field there is, with its default. A config takes this and changes what is its own.

No other field exists: a misspelt override is an error, and so is a value of another type.
fakedetect_jax/config/ranges.py has the range of each field.
"""

import dataclasses
from collections.abc import Sequence

from ml_collections import ConfigDict

from fakedetect_jax.augment import SelfBlendRecipe
from fakedetect_jax.config import Config
from fakedetect_jax.errors import ConfigError


def get_config() -> Config:
    """Return the defaults. The sources of data are empty, for the experiment to name."""
    config: Config = ConfigDict()
    # Title of the report and of the model card.
    config.name = "unnamed"
    # Training is a function of the config and this seed alone.
    config.seed = 0

    config.data = ConfigDict()
    # Folder of built datasets, as given to `fakedetect build --out`.
    config.data.folder = "data"
    # The datasets to train on: any key -> source(...).
    config.data.train = ConfigDict()
    # Threads that decode frames, in each process that does.
    config.data.threads = 4
    # Processes that decode frames. With 0 the training process decodes itself.
    config.data.workers = 0
    # Batches kept ready ahead of the step. More of them take more memory.
    config.data.prefetch = 4

    # What a clip is in training, validation, evaluation and prediction. How faces were cropped is read from the data.
    config.clip = ConfigDict()
    # Frames of a clip.
    config.clip.frames = 8
    # Seconds from one frame of a clip to the next. At 25 frames a second, 0.16 is every fourth frame.
    config.clip.stride = 0.16
    # Validation, evaluation and prediction take one clip for every so many seconds of a video. Training draws one
    # clip of each video an epoch.
    config.clip.interval = 5.0
    # Side of the model's input in pixels. A size above that of the stored crops adds no detail.
    config.clip.size = 224
    # Room around the face in the model's input where nothing is drawn at random, as a fraction of the face's width
    # and height.
    config.clip.margin = 0.125

    config.input = ConfigDict()
    # "self_blend" makes a pair of each clip: itself as real, and its self-blended image as fake. "recorded" takes the
    # labels of the dataset.
    config.input.fakes = "self_blend"
    # Every probability and strength of the augmentation; docs/sbi.md explains them.
    config.input.recipe = ConfigDict(dataclasses.asdict(SelfBlendRecipe()))
    # The recipe's size is config.clip.size.
    del config.input.recipe.size

    config.model = ConfigDict()
    # A model that `fakedetect models` lists.
    config.model.name = "detector"
    # Keyword arguments of the model, which checks them; docs/models.md lists them.
    config.model.options = ConfigDict()
    # Weights to start from: a file, hf:owner/name[:file], or "efficientnet_lite0" of the extra [pretrained]. With ""
    # they are drawn by the seed.
    config.model.init_from = ""
    # The library whose names the file uses, such as "timm" or "sbi". With "" it is a file of this project.
    config.model.init_source = ""

    # AdamW.
    config.optimizer = ConfigDict()
    # Peak learning rate, reached after the warm-up. It falls to 0 at the last step by a cosine.
    config.optimizer.learning_rate = 1e-3
    # Steps in which the learning rate rises from 0; fewer than config.train.steps.
    config.optimizer.warmup_steps = 100
    config.optimizer.weight_decay = 0.05
    # A gradient with a larger global norm is scaled down to this one.
    config.optimizer.clip_norm = 1.0
    # Decay of the gradient's first and second moments.
    config.optimizer.b1 = 0.9
    config.optimizer.b2 = 0.999
    # Decay of the averaged weights, which are validated and exported. They average about 1 / (1 - ema_decay) steps;
    # with as many steps as the run has, they lag behind.
    config.optimizer.ema_decay = 0.999

    config.train = ConfigDict()
    config.train.steps = 1000
    # Clips a step over all devices, by whose number it must divide. With self_blend the model sees twice as many.
    config.train.batch_size = 32
    # Compute precision of the model: "float32" or "bfloat16". Parameters, losses and logits stay float32.
    config.train.dtype = "float32"
    # Weight of the frames' loss beside the clip's.
    config.train.frame_weight = 0.5
    # Weight of the loss of the predicted blend mask. Above 0 the model needs the part `mask`, and fakes "self_blend".
    config.train.mask_weight = 0.0
    # Weight of the loss of telling forgery methods apart. Above 0 the model needs their names in its option
    # `methods`, and fakes "recorded".
    config.train.method_weight = 0.0
    # Steps between two lines of the training log.
    config.train.log_every = 10
    # Steps between two checkpoints. A killed run repeats the steps since the last one.
    config.train.checkpoint_every = 500

    # Validation chooses the checkpoint that is exported.
    config.validation = ConfigDict()
    # The datasets to validate on: any key -> source(...).
    config.validation.sources = ConfigDict()
    # As config.input.fakes. With "self_blend" real videos alone can choose the checkpoint.
    config.validation.fakes = "self_blend"
    # Steps between two validations.
    config.validation.every = 500
    config.validation.batch_size = 32

    config.evaluation = ConfigDict()
    # The datasets to measure the detector on: any key -> source(...).
    config.evaluation.sources = ConfigDict()
    config.evaluation.batch_size = 32
    # Resamples of the bootstrap. Fewer make the intervals themselves uncertain.
    config.evaluation.resamples = 1000
    return config


def source(
    dataset: str, split: str, methods: tuple[str, ...] = (), limit: int = 0, shared_people: str = "refuse"
) -> Config:
    """Return a part of a built dataset, as a value of data.train, validation.sources or evaluation.sources.

    Args:
        dataset: name of a built dataset, such as "faceforensics/c23".
        split: name of a split, such as "train".
        methods: names of methods, "real" among them; () for all.
        limit: number of videos, from the first; 0 for all.
        shared_people: in evaluation, what to do with videos of people whom the detector learned from. "refuse" ends
            the evaluation with an error, "drop" leaves these videos out, "keep" measures on them too.
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


def check_argument(arg: str, known: Sequence[str] = ()) -> None:
    """Raise ConfigError unless `arg`, which `--config NAME:ARG` gives, is known to a config or empty."""
    if arg not in ("", *known):
        what = f"it must be one of {', '.join(known)}" if known else "this config takes none"
        raise ConfigError(f"the argument of --config is {arg!r}; {what}")
