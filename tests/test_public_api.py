"""The package's public names: what they are, that they explain themselves, and that the examples run."""

import doctest
import importlib
import inspect
import shutil

import pytest

import fakedetect_jax
from tests import tiny_config
from tests.tiny_dataset import FACE

PARAMETERS = {
    "SelfBlendRecipe": ["size"],
    "create_model": ["name", "options"],
    "extract_faces": ["video"],
    "list_models": ["containing"],
    "load_detector": ["folder"],
    "self_blend": ["key", "frames", "landmarks", "recipe"],
    "train": ["config", "workdir"],
}
MODULES = (
    "augment.recipe",
    "augment.self_blend",
    "data.clips",
    "evaluation.metrics",
    "faces.extract",
    "faces.options",
    "models",
)


def test_the_public_names_are_these():
    assert fakedetect_jax.__all__ == sorted([*PARAMETERS, "metrics"])
    assert set(fakedetect_jax.__all__) <= set(dir(fakedetect_jax))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = fakedetect_jax.nonsense


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_public_name_has_its_parameters_and_an_example(name):
    public = getattr(fakedetect_jax, name)
    found = list(inspect.signature(public).parameters)
    assert found[: len(PARAMETERS[name])] == PARAMETERS[name]
    assert ">>>" in (inspect.getdoc(public) or ""), f"{name} shows no call"


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name, tmp_path, monkeypatch):
    shutil.copy(FACE, tmp_path / "interview.mp4")
    monkeypatch.chdir(tmp_path)
    results = doctest.testmod(importlib.import_module(f"fakedetect_jax.{name}"))
    assert results.failed == 0 < results.attempted


def test_the_examples_of_a_run_hold_one_after_another(tiny_data, tmp_path, monkeypatch):
    shutil.copy(FACE, tmp_path / "interview.mp4")
    monkeypatch.chdir(tmp_path)
    config = tiny_config.get_config()
    config.data.folder = str(tiny_data)
    config.train.steps = config.validation.every = 4
    for name in ("experiment.modes", "deployment.inference"):
        module = importlib.import_module(f"fakedetect_jax.{name}")
        results = doctest.testmod(module, extraglobs={"config": config})
        assert results.failed == 0 < results.attempted
