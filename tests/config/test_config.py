import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax import experiment
from fakedetect_jax.config import model_options
from fakedetect_jax.config.check import leaves, validate
from fakedetect_jax.config.compare import differences
from fakedetect_jax.config.ranges import FIELDS, SOURCE
from fakedetect_jax.configs import base, demo
from fakedetect_jax.errors import ConfigError

ROOT = Path(__file__).parents[2]


def changed(**fields):
    config = demo.get_config()
    config.unlock()
    for name, value in fields.items():
        put(config, name.replace("__", "."), value)
    return config


def put(config, field, value):
    *parents, last = field.split(".")
    node = config
    for parent in parents:
        node = node[parent]
    # Deleted first: ml_collections would refuse another type, which is for validate to do.
    if last in node:
        del node[last]
    node[last] = value


def test_every_field_has_a_range_and_every_range_a_field():
    assert set(FIELDS) == set(leaves(base.get_config().to_dict()))
    assert set(SOURCE) == set(base.source("a", "b").to_dict())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train__stepz": 3}, r"config.train has no field \['stepz'\]; it has \[.*'steps'"),
        ({"train__steps": 2.5}, r"config.train.steps=2.5; it must be of type int"),
        ({"train__steps": "9"}, r"config.train.steps='9'; it must be of type int"),
        ({"train__steps": True}, r"config.train.steps=True"),
        ({"train__steps": 0}, r"config.train.steps=0; it must be a whole number from 1 to"),
        ({"input__fakes": "gan"}, r"config.input.fakes='gan'; it must be one of 'self_blend', 'recorded'"),
        ({"input__recipe": 3}, r"config.input.recipe=3; it must have the fields"),
        ({"data__train__mini_forensics__splitt": "x"}, r"config.data.train.mini_forensics has no field"),
        (
            {"data__train__mini_forensics": "x"},
            r"config.data.train.mini_forensics='x'; it must have the fields",
        ),
        ({"data__train": {}}, r"config.data.train is empty"),
        ({"validation__sources": {}}, r"config.validation.sources is empty"),
        (
            {"optimizer__warmup_steps": 400},
            r"config.optimizer.warmup_steps=400; it must be below config.train",
        ),
        (
            {"model__init_source": "timm"},
            r"config.model.init_source='timm' .* config.model.init_from names no",
        ),
        (
            {"model__init_source": "nope", "model__init_from": "a.pth"},
            r"config.model.init_source='nope'; .*timm",
        ),
        ({"model__name": "nope"}, r"config.model.name='nope'; it must be one of detector, "),
        ({"model__options": 3}, r"config.model.options=3; it must have the fields"),
        ({"model__options__dropout": "0.1"}, r"config.model.options.dropout='0.1'; it must be a number"),
        ({"model__options__drop": 0.1}, r"config.model.options has no option 'drop'; it has .*dropout"),
        (
            {"model__options__motion__cel": 8},
            r"config.model.options.motion has no option 'cel'; it has .*cell",
        ),
        (
            {"model__options__motion__widths": (0.5,)},
            r"config.model.options.motion.widths=\(0.5,\); .* whole",
        ),
        (
            {"model__options__spatial": {"name": "vgg"}},
            r"config.model.options.spatial.name='vgg'; .*convnext",
        ),
        (
            {"train__dtype": "float16"},
            r"config.train.dtype='float16'; it must be one of 'float32', 'bfloat16'",
        ),
        (
            {"model__options__dtype": "bfloat16"},
            r"config.model.options.dtype cannot be set; config.train.dtype",
        ),
        (
            {"model__options__motion__dtype": "bfloat16"},
            r"config.model.options.motion.dtype cannot be set; config.train.dtype",
        ),
        (
            {"model__options__normalisation": "other"},
            r"config.model.options: detector normalisation='other' is not known",
        ),
        ({"input__recipe__hulls": (0.5, 0.1)}, r"config.input.recipe: hulls is .* sum 1"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_known(fields, message):
    with pytest.raises(ConfigError, match=message):
        validate(changed(**fields), base.get_config())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("optimizer.learning_rate", value) for value in (0, -1.0, math.nan, math.inf)],
        *[("optimizer.weight_decay", value) for value in (-1.0, math.nan)],
        *[("optimizer.clip_norm", value) for value in (0.0, -1.0)],
        *[("optimizer.b1", value) for value in (2.0, 1.0, -0.1)],
        ("optimizer.b2", -1.0),
        *[("optimizer.ema_decay", value) for value in (2.0, 1.0, -1.0, math.nan)],
        *[(f"train.{name}_weight", value) for name in ("frame", "mask", "method") for value in (-1.0, math.nan)],
        *[("input.recipe.margin", value) for value in ((0.1,), ("a", "b"), (0.3, 0.1), (0.0, 1e9), (math.nan, 1))],
        *[("input.recipe.source_rgb", value) for value in (-0.1, math.nan, math.inf)],
        ("input.recipe.translate", (10**400, 0)),
        ("input.recipe.downscale_factors", (0.0,)),
        ("input.recipe.blend_ratios", ()),
        ("input.recipe.reference_face", 0.0),
        ("input.recipe.erode_kernel", (5, 1_000_000)),
        ("input.recipe.temporal", "sometimes"),
        # jax would begin the same run as with the seed 0.
        *[("seed", value) for value in (-1, 2**32, 2**63)],
        *[("data.workers", value) for value in (-1, 10**6)],
        ("data.threads", 0),
        ("data.folder", ""),
        *[("data.train.mini_forensics.limit", value) for value in (-1,)],
        *[("data.train.mini_forensics.dataset", v) for v in ("../../etc", "/etc", "", "a/../b", "a/b/c", "..")],
        ("data.train.mini_forensics.methods", (3,)),
        ("validation.sources.mini_forensics.split", "../x"),
        ("evaluation.sources.mini_forensics.limit", -1),
        ("train.batch_size", 1_000_000),
        *[("clip.interval", value) for value in (0.0, -1.0, float("inf"))],
        ("clip.frames", 0),
        *[("clip.margin", value) for value in (-0.1, 1e9)],
        ("name", ""),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused_by_its_field(field, value):
    config = changed()
    put(config, field, value)
    with pytest.raises(ConfigError, match=re.escape(f"config.{field}={value!r}; it must be ")):
        validate(config, base.get_config())


_SCALARS = (
    st.integers(-(2**65), 2**65)
    | st.integers(-3, 300)
    | st.floats()
    | st.floats(-1, 2)
    | st.text(max_size=5)
    | st.booleans()
)


@given(
    st.sampled_from(sorted(leaves(base.get_config().to_dict()))),
    _SCALARS | st.lists(_SCALARS, max_size=3).map(tuple) | st.lists(st.floats(0, 1), min_size=2, max_size=2),
)
def test_a_drawn_value_is_refused_by_name_or_can_be_used(field, value):
    config = changed()
    put(config, field, value)
    try:
        validate(config, base.get_config())
    except ConfigError as error:
        assert field.rpartition(".")[0].split(".")[0] in str(error)  # noqa: PT017
        return
    numbers = [part for part in np.ravel(value) if not isinstance(part, str)]
    assert all(math.isfinite(part) and 0 <= part <= 1e12 for part in numbers)
    recipe, schedule = experiment.make_recipe(config), experiment.make_schedule(config)
    assert len(recipe.margin) == len(recipe.translate) == len(recipe.jpeg_quality) == 2
    assert 0 < float(schedule(config.optimizer.warmup_steps)) < math.inf
    np.random.default_rng((config.seed, 0))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_model_computes_in_the_precision_of_the_config(dtype):
    config = changed(train__dtype=dtype)
    assert experiment.make_model(config).dtype == dtype
    assert model_options.resolve(config) == {**config.model.options.to_dict(), "dtype": dtype}


def test_ints_pass_for_floats_and_lists_for_tuples():
    config = changed(optimizer__learning_rate=1, data__train__mini_forensics__methods=["real"])
    assert validate(config, base.get_config()) is None


def test_a_missing_field_is_named():
    config = demo.get_config()
    del config.train.steps
    with pytest.raises(ConfigError, match=r"config.train lacks \['steps'\]"):
        validate(config, base.get_config())


def test_differences_name_fields_and_values():
    saved, current = {"a": {"b": (1, 2), "c": 1}}, {"a": {"b": [1, 2], "c": 2, "d": 3}}
    assert differences(saved, current) == ["config.a.c: 1 -> 2", "config.a.d: 'absent' -> 3"]
