"""The examples in docstrings run and print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

MODULES = ("augment.recipe", "augment.self_blend", "data.clips", "faces.extract", "faces.options")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    results = doctest.testmod(importlib.import_module(f"fakedetect_jax.{name}"))
    assert results.failed == 0 < results.attempted
