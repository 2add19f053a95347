"""Overrides of fields, on the command line and from sweeps."""

import re

import pytest

from fakedetect_jax.config.overrides import override, replace
from fakedetect_jax.configs import demo
from fakedetect_jax.errors import ConfigError


def at(config, field):
    for name in field.split("."):
        config = config[name]
    return config


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--config.train.steps=200"], "train.steps", 200),
        (["--config.train.steps", "200"], "train.steps", 200),
        (["-config.train.steps=200"], "train.steps", 200),
        (["--config.optimizer.learning_rate=1e-3"], "optimizer.learning_rate", 0.001),
        (["--config.optimizer.learning_rate=1"], "optimizer.learning_rate", 1.0),
        (["--config.train.dtype=bfloat16"], "train.dtype", "bfloat16"),
        (["--config.input.recipe.eight_bit=false"], "input.recipe.eight_bit", False),
        (["--noconfig.input.recipe.eight_bit"], "input.recipe.eight_bit", False),
        (["--config.input.recipe.margin=(0.1, 0.2)"], "input.recipe.margin", (0.1, 0.2)),
        (["--config.data.train.mini_forensics.limit=3"], "data.train.mini_forensics.limit", 3),
        (["--config.model.options.motion.cell=4"], "model.options.motion.cell", 4),
        (["--config.model.options.temporal={}"], "model.options.temporal", {}),
    ],
)
def test_an_override_is_parsed_by_the_type_of_its_field(arguments, field, value):
    config = override(demo.get_config(), arguments)
    found = at(config, field)
    assert (found, type(found)) == (value, type(value)) if value != {} else found.to_dict() == {}


def test_the_other_fields_stay():
    config = override(demo.get_config(), ["--config.train.steps=200", "--config.seed=1"])
    expected = demo.get_config()
    expected.train.steps, expected.seed = 200, 1
    assert config.to_dict() == expected.to_dict()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.trian.steps=1", "unknown field config.trian.steps: config has clip, data, evaluation, "),
        ("--config.train.stepz=1", "unknown field config.train.stepz: config.train has batch_size, "),
        ("--config.train.steps.x=1", "unknown field config.train.steps.x: config.train.steps has no fields"),
        ("--config.data.train.other.limit=1", "config.data.train has mini_forensics"),
        ("--config.train.steps=2.5", "flag --config.train.steps=2.5: "),
        ("--config.train=3", "flag --config.train=3: "),
        ("--config.optimizer.b1=low", "flag --config.optimizer.b1=low: "),
        ("--config.train.steps", "Missing value for flag --config.train.steps"),
        ("--steps=1", "Unknown command line flag 'steps'"),
        ("steps=1", "'steps=1' is not known"),
    ],
)
def test_a_wrong_override_is_refused_with_what_there_is(argument, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        override(demo.get_config(), [argument])


def test_a_run_of_a_sweep_is_a_changed_copy():
    config = demo.get_config()
    fields = {"seed": 1, "optimizer.learning_rate": 1, "model.options.temporal.layers": 2, "name": "x"}
    changed = replace(config, fields)
    assert config.to_dict() == demo.get_config().to_dict()
    assert {field: at(changed, field) for field in fields} == fields
    assert changed.model.options.motion == config.model.options.motion


@pytest.mark.parametrize("field", ["sead", "train.stepz", "data.train.other.limit", "seed.x"])
def test_a_field_of_a_sweep_must_exist(field):
    with pytest.raises(ConfigError, match=f"unknown field config.{field}"):
        replace(demo.get_config(), {field: 1})


def test_a_number_of_a_sweep_that_no_float_holds_is_refused_by_field():
    with pytest.raises(ConfigError, match=r"config\.optimizer\.learning_rate is too large a number: 1000"):
        replace(demo.get_config(), {"optimizer.learning_rate": 10**400})


def test_a_field_of_a_part_that_another_override_replaces():
    arguments = ["--config.clip={}", "--config.clip.interval=0.1"]
    with pytest.raises(ConfigError, match=r"interval.*another override replaces the part"):
        override(demo.get_config(), arguments)


def test_a_dict_of_a_sweep_with_dots_in_its_names_is_refused_by_field():
    with pytest.raises(ConfigError, match=r"config\.clip: .*dots"):
        replace(demo.get_config(), {"clip": {"a.b": 1}})
