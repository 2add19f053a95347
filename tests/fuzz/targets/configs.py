"""Configs: values that no field can have, from the command line and from code."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

from fakedetect_jax import experiment
from fakedetect_jax.config import check, overrides
from fakedetect_jax.configs import base
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.errors import ConfigError
from fakedetect_jax.experiment.parts import make_recipe
from fakedetect_jax.faces import Extraction
from tests import tiny_config
from tests.fuzz.json_mutations import damage_value, odd_value
from tests.fuzz.target import Case, Target, Wrong

_TEXTS = (
    *(
        "nan",
        "inf",
        "-inf",
        "-1",
        "0",
        "1",
        "2",
        "1e9",
        "1000000000",
        "1e308",
        "1e-320",
        "0.5",
        "True",
        "None",
        "",
    ),
    *(
        " ",
        "x",
        "()",
        "[]",
        "(1,)",
        "(nan,nan)",
        "{}",
        "{'a': 1}",
        "__import__('os')",
        "1" * 500,
        "é",
        "a\nb",
    ),
    *("tiny", "base", "real", "detector", "adamw", "self_blend", "recorded", "float32", "bfloat16", "hf:a/b"),
)
# What the words of configs/base.py mean, told once more: (lowest, highest, whether these are allowed).
_MEANT: dict[str, tuple[float, float, bool]] = {
    "seed": (0, 2**32 - 1, True),
    "optimizer.learning_rate": (0, math.inf, False),
    "optimizer.clip_norm": (0, math.inf, False),
    "optimizer.weight_decay": (0, 1e6, True),
    "optimizer.b1": (-1e-9, 1, False),
    "optimizer.b2": (-1e-9, 1, False),
    "optimizer.ema_decay": (-1e-9, 1, False),
    "clip.stride": (-1e-9, 1e6, False),
    "clip.interval": (0, 1e9, False),
    "clip.margin": (0, 100, True),
    "clip.frames": (1, 1e6, True),
    "clip.size": (1, 1e5, True),
    "train.batch_size": (1, 1e6, True),
    "validation.batch_size": (1, 1e6, True),
    "evaluation.batch_size": (1, 1e6, True),
    "train.frame_weight": (0, 1e6, True),
    "train.mask_weight": (0, 1e6, True),
    "input.recipe.flip": (0, 1, True),
    "input.recipe.jpeg": (0, 1, True),
    "input.recipe.other_face": (0, 1, True),
}


class Configs(Target):
    """A config that is accepted can be used; the error of another one names the field."""

    errors = (ConfigError,)

    def prepare(self) -> None:
        """Write nothing: the sound config is tests/tiny_config.py."""

    def load(self) -> None:
        given = tiny_config.get_config().to_dict()
        self._fields = [
            *check.leaves(given),
            *(
                f"{part}.tiny.{name}"
                for part in check.SOURCES
                for name in ("dataset", "split", "methods", "limit")
            ),
            *(
                "model.options",
                "model.options.spatial",
                "model.options.spatial.dims",
                "model.options.temporal.heads",
            ),
            *("model.options.temporal.name", "model.options.x", "model.options.spatial.name", "x", "train.x"),
            *("optimizer", "data.train", "data.train.tiny", "clip"),
        ]

    def case(self, rng: random.Random, folder: Path) -> Case:
        fields = rng.sample(self._fields, rng.choice((1, 1, 1, 2, 3)))
        config = tiny_config.get_config()
        if rng.random() < 0.5:
            arguments = [f"--config.{field}={rng.choice(_TEXTS)}" for field in fields]
            (folder / "arguments.txt").write_text("\n".join(map(ascii, arguments)))
            return Case(lambda: _use(overrides.override(config, arguments)), ("config",))
        values = {field: _value(rng, config, field) for field in fields}
        (folder / "values.txt").write_text(ascii(values)[:10_000])
        return Case(lambda: _use(overrides.replace(config, values)), ("config",))


def _value(rng: random.Random, config: Any, field: str) -> Any:
    node: Any = config.to_dict()
    for name in field.split("."):
        node = node.get(name, {}) if isinstance(node, dict) else {}
    if rng.random() < 0.3 and isinstance(node, int | float) and not isinstance(node, bool):
        return rng.choice((node + 1, node * 2, node / 2, 0, 1, 0.5, -node))
    value = odd_value(rng) if rng.random() < 0.6 else damage_value(rng, node)
    # A message repeats a value that someone wrote on purpose, however long it is.
    return value if len(repr(value)) < 1000 else None


def _use(config: Any) -> None:
    check.validate(config, base.get_config())
    # Nothing that comes after may find a fault in what was accepted.
    experiment.make_model(config)
    experiment.make_optimizer(config)
    make_recipe(config)
    ClipSpec(extraction=Extraction(), **config.clip.to_dict())
    for field, value in check.leaves(config.to_dict()).items():
        for number in value if isinstance(value, tuple | list) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise Wrong(f"{field}={value!r} is accepted")
        if field in _MEANT:
            low, high, ends = _MEANT[field]
            if not (low <= value <= high if ends else low < value < high):
                raise Wrong(f"{field}={value!r} is accepted")
