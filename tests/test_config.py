import subprocess
import sys
from pathlib import Path

import pytest

from configs import base, demo
from fakedetect_jax.config import ConfigError, differences, validate

ROOT = Path(__file__).parents[1]


def changed(**fields):
    config = demo.get_config()
    config.unlock()
    for name, value in fields.items():
        *parents, last = name.split("__")
        node = config
        for parent in parents:
            node = node[parent]
        # Deleted first: ml_collections would refuse another type, which is for validate to do.
        if last in node:
            del node[last]
        node[last] = value
    return config


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train__stepz": 3}, r"config.train has no field \['stepz'\]; it has \[.*'steps'"),
        ({"train__steps": 2.5}, r"config.train.steps=2.5; it must be of type int"),
        ({"train__steps": "9"}, r"config.train.steps='9'; it must be of type int"),
        ({"train__steps": True}, r"config.train.steps=True"),
        ({"train__steps": 0}, r"config.train.steps=0; it must be at least 1"),
        ({"input__fakes": "gan"}, r"config.input.fakes='gan'; it must be one of"),
        ({"input__recipe": 3}, r"config.input.recipe=3; it must have the fields"),
        ({"data__train__mini_forensics__splitt": "x"}, r"config.data.train.mini_forensics has no field"),
        ({"data__train": {}}, r"config.data.train is empty"),
        ({"validation__sources": {}}, r"config.validation.sources is empty"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_known(fields, message):
    with pytest.raises(ConfigError, match=message):
        validate(changed(**fields), base.get_config())


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


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("--config.train.stepz=3", ["stepz", "steps"]),
        ("--config.train.steps=many", ["config.train.steps", "many", "int"]),
        ("--config.train.steps=0", ["config.train.steps=0", "at least 1"]),
    ],
)
def test_a_wrong_override_ends_with_words_not_a_traceback(override, words, tmp_path):
    done = subprocess.run(
        [sys.executable, "launch.py", "--config", "configs/demo.py", "--workdir", str(tmp_path), override],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr + done.stdout
