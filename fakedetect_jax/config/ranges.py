"""What each field of a config may be: one line a field, and the words in which a wrong value is refused."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Range:
    """What a field may be: a test, and its words, which go on from "it must be"."""

    words: str
    allows: Callable[[Any], bool]


def whole(low: int, high: int) -> Range:
    """Whole numbers, both ends included."""
    return Range(
        f"a whole number from {low:,} to {high:,}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
    )


def number(low: float, high: float, *, above: bool = False, below: bool = False) -> Range:
    """Finite numbers from `low` to `high`; without the ends themselves where they are to be `above` or `below`."""

    def allows(value: Any) -> bool:
        if not _finite(value):
            return False
        return (value > low if above else value >= low) and (value < high if below else value <= high)

    return Range(
        f"a number {'above' if above else 'from'} {low:g}"
        f"{',' if above else ''} {'and below' if below else 'up to'} {high:g}",
        allows,
    )


def choice(*values: str) -> Range:
    """One of some words."""
    return Range(f"one of {', '.join(repr(value) for value in values)}", lambda value: value in values)


def text(pattern: str, words: str) -> Range:
    """Text that matches a pattern as a whole."""
    return Range(words, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def several(item: Range, words: str, *, count: int | None = None) -> Range:
    """A tuple or list of `item`s: `count` of them, or any number but none."""

    def allows(value: Any) -> bool:
        sized = isinstance(value, tuple | list) and (len(value) == count if count else len(value) > 0)
        return sized and all(item.allows(part) for part in value)

    return Range(f"{words}, each {item.words}", allows)


def span(item: Range) -> Range:
    """A pair (low, high) of `item`s."""
    pair = several(item, "(low, high)", count=2)
    return Range(
        f"(low, high) with low <= high, each {item.words}",
        lambda value: pair.allows(value) and value[0] <= value[1],
    )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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

# Of each source in `data.train`, `validation.sources` and `evaluation.sources`.
SOURCE: dict[str, Range] = {
    "dataset": text(
        r"\w[\w-]*(/\w[\w.-]*)?", "the name of a built dataset, as 'mini_forensics' or 'faceforensics/c23'"
    ),
    "split": text(r"\w+", "the name of a split, as 'train'"),
    "methods": METHODS,
    "limit": whole(0, 1_000_000_000),
    "shared_people": choice("refuse", "drop", "keep"),
}

FIELDS: dict[str, Range] = {
    "name": text(r"[^\0\n]+", "a name on one line"),
    # Of larger seeds jax would take the last 32 bits alone: two seeds, one run.
    "seed": whole(0, 2**32 - 1),
    "data.folder": PATH,
    "data.threads": whole(1, 1024),
    "data.workers": whole(0, 1024),
    "data.prefetch": whole(0, 4096),
    "clip.frames": whole(1, 4096),
    "clip.stride": number(0, 3600, above=True),
    "clip.interval": number(0, 3600, above=True),
    "clip.size": whole(16, 4096),
    "clip.margin": SHARE,
    "input.fakes": FAKES,
    "model.name": text(r"\w+", "the name of a model, of those that `fakedetect models` lists"),
    "model.init_from": text(
        r"[^\0\n]*", "a file of weights, hf:owner/name[:file], 'efficientnet_lite0' or ''"
    ),
    "model.init_source": text(r"[\w-]*", "whose names the file of weights has, or '' for our own"),
    "optimizer.learning_rate": number(0, 100, above=True),
    "optimizer.warmup_steps": whole(0, 1_000_000_000),
    "optimizer.weight_decay": number(0, 100),
    # At 0 nothing would be learnt; to clip nothing, give a large number.
    "optimizer.clip_norm": number(0, 1e12, above=True),
    "optimizer.b1": number(0, 1, below=True),
    "optimizer.b2": number(0, 1, below=True),
    # At 1 the averaged weights, which are exported, would stay the first ones.
    "optimizer.ema_decay": number(0, 1, below=True),
    "train.steps": COUNT,
    "train.batch_size": BATCH,
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
    # SelfBlendRecipe checks, besides, what takes several of its fields together.
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
