"""The range of each field of a config."""

from __future__ import annotations

from fakedetect_jax.data import clips
from fakedetect_jax.ranges import Range, choice, number, several, span, text, whole

FLAG = Range("true or false", lambda value: isinstance(value, bool))
PATH = text(r"[^\0]+", "the name of a file or folder")
PROBABILITY = number(0, 1)
SHARE = number(0, 10)
WEIGHT = number(0, 1000)
COUNT = whole(1, 1_000_000_000)
BATCH = whole(1, 65_536)
FAKES = choice("self_blend", "recorded")
METHODS = Range(
    "the names of methods, or none",
    lambda value: isinstance(value, tuple | list) and all(isinstance(part, str) and part for part in value),
)

# The fields of each source in data.train, validation.sources and evaluation.sources.
SOURCE: dict[str, Range] = {
    "dataset": text(
        r"\w[\w-]*(/\w[\w.-]*)?",
        "the name of a built dataset, such as 'mini_forensics' or 'faceforensics/c23'",
    ),
    "split": text(r"\w+", "the name of a split, such as 'train'"),
    "methods": METHODS,
    "limit": whole(0, 1_000_000_000),
    "shared_people": choice("refuse", "drop", "keep"),
}

FIELDS: dict[str, Range] = {
    "name": text(r"[^\0\n]+", "a name on one line"),
    # jax takes the last 32 bits of a seed alone: larger seeds would repeat runs.
    "seed": whole(0, 2**32 - 1),
    "data.folder": PATH,
    "data.threads": whole(1, 1024),
    "data.workers": whole(0, 1024),
    "data.prefetch": whole(0, 4096),
    **{f"clip.{name}": allowed for name, allowed in clips.RANGES.items()},
    "input.fakes": FAKES,
    "model.name": text(r"\w+", "a model that `fakedetect models` lists"),
    "model.init_from": text(
        r"[^\0\n]*", "a file of weights, hf:owner/name[:file], 'efficientnet_lite0' or ''"
    ),
    "model.init_source": text(
        r"[\w-]*", "the library whose names the file of weights uses, or '' for this project's"
    ),
    "optimizer.learning_rate": number(0, 100, above=True),
    "optimizer.warmup_steps": whole(0, 1_000_000_000),
    "optimizer.weight_decay": number(0, 100),
    # At 0 nothing is learned. A large number clips nothing.
    "optimizer.clip_norm": number(0, 1e12, above=True),
    "optimizer.b1": number(0, 1, below=True),
    "optimizer.b2": number(0, 1, below=True),
    # At 1 the averaged weights, which are exported, stay at their initial values.
    "optimizer.ema_decay": number(0, 1, below=True),
    "train.steps": COUNT,
    "train.batch_size": BATCH,
    "train.dtype": choice("float32", "bfloat16"),
    "train.frame_weight": WEIGHT,
    "train.mask_weight": WEIGHT,
    "train.method_weight": WEIGHT,
    "train.log_every": COUNT,
    "train.checkpoint_every": COUNT,
    "validation.fakes": FAKES,
    "validation.every": COUNT,
    "validation.batch_size": BATCH,
    "evaluation.batch_size": BATCH,
    "evaluation.resamples": whole(1, 10_000_000),
    # SelfBlendRecipe also checks fields against one another.
    "input.recipe.reference_face": number(1, 10_000),
    "input.recipe.margin": span(SHARE),
    "input.recipe.temporal": choice("shared", "drift", "independent"),
    "input.recipe.downscale_factors": several(number(1, 64), "factors"),
    "input.recipe.sharpen_alpha": span(PROBABILITY),
    "input.recipe.sharpen_lightness": span(SHARE),
    "input.recipe.translate": several(PROBABILITY, "(along x, along y)", count=2),
    "input.recipe.scale": span(number(0, 10, above=True)),
    "input.recipe.drift": span(number(0, 10, above=True)),
    "input.recipe.hulls": several(PROBABILITY, "probabilities with sum 1"),
    "input.recipe.elastic_alpha": number(0, 10_000),
    "input.recipe.elastic_sigma": number(0, 1000, above=True),
    "input.recipe.mask_canvas": span(whole(16, 4096)),
    "input.recipe.erode_kernel": span(whole(1, 255)),
    "input.recipe.blur_kernel": span(whole(1, 255)),
    "input.recipe.blur_sigma": span(whole(1, 255)),
    "input.recipe.blend_ratios": several(PROBABILITY, "opacities"),
    "input.recipe.segment_share": span(PROBABILITY),
    "input.recipe.eight_bit": FLAG,
    "input.recipe.jpeg_quality": span(whole(1, 100)),
    **{
        f"input.recipe.{name}": PROBABILITY
        for name in ("flip", "change_source", "downscale", "other_face", "segment", "jpeg")
    },
    **{
        f"input.recipe.{image}_{change}": PROBABILITY
        for image in ("source", "shared")
        for change in (
            *("rgb", "hue", "saturation", "value", "brightness", "contrast"),
            *("rgb_probability", "hsv_probability", "brightness_contrast_probability"),
        )
    },
}

# Fields and sections that may change between a run and its continuation: no number of the run depends on them.
FREE_ON_RESUME = (
    "name",
    "data.folder",
    "data.threads",
    "data.workers",
    "data.prefetch",
    "train.log_every",
    "train.checkpoint_every",
    "evaluation",
)
