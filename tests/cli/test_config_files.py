"""Config files by path and by name."""

import pytest

from fakedetect_jax.cli.config_files import names, open_config
from fakedetect_jax.configs import demo
from fakedetect_jax.errors import ConfigError

WITH_ARGUMENT = """
import dataclasses

from fakedetect_jax.configs import base

@dataclasses.dataclass
class Choice:
    seed: "int"

def get_config(arg="0"):
    config = base.get_config()
    config.seed = Choice(int(arg)).seed
    return config
"""


def test_the_experiments_of_the_package_have_names():
    assert names() == ["demo", "demo_pretrained", "sbi_convnext_tiny"]


@pytest.mark.parametrize("reference", ["demo", demo.__file__])
def test_a_name_and_a_path_give_the_same_config(reference):
    assert open_config(reference).get_config().to_dict() == demo.get_config().to_dict()


@pytest.mark.parametrize(("argument", "seed"), [("", 0), (":", 0), (":7", 7)])
def test_the_text_after_the_colon_is_the_argument(argument, seed, tmp_path):
    (tmp_path / "mine.py").write_text(WITH_ARGUMENT)
    assert open_config(f"{tmp_path}/mine.py{argument}").get_config().seed == seed


def test_a_file_in_the_current_folder_is_given_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(WITH_ARGUMENT)
    monkeypatch.chdir(tmp_path)
    assert open_config("mine.py:3").get_config().seed == 3


@pytest.mark.parametrize("name", ["nope", "base", "__init__", ""])
def test_an_unknown_name_is_answered_with_the_names(name):
    with pytest.raises(ConfigError, match=f"'{name}' .*it has demo, demo_pretrained, sbi_convnext_tiny"):
        open_config(name)


@pytest.mark.parametrize("name", ["", "none.py"])
def test_a_file_that_cannot_be_read_is_named(name, tmp_path):
    with pytest.raises(ConfigError, match=f"cannot be read: .*{tmp_path}"):
        open_config(f"{tmp_path}/{name}")


def test_what_a_file_lacks_is_named(tmp_path):
    (tmp_path / "empty.py").write_text("")
    file = open_config(f"{tmp_path}/empty.py")
    with pytest.raises(ConfigError, match=r"empty.py has no get_config\(\)"):
        file.get_config()
    with pytest.raises(ConfigError, match=r"empty.py has no sweep\(\)"):
        file.sweep()


def test_a_config_of_another_kind_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text("def get_config():\n    return {'seed': 1}\n")
    with pytest.raises(ConfigError, match=r"returns {'seed': 1}; it must return a ConfigDict"):
        open_config(f"{tmp_path}/mine.py").get_config()


def test_a_sweep_without_runs_is_refused(tmp_path):
    (tmp_path / "none.py").write_text("def sweep():\n    return []\n")
    with pytest.raises(ConfigError, match="yields no runs"):
        open_config(f"{tmp_path}/none.py").sweep()
