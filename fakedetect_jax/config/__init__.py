"""Configs of experiments: their fields' ranges, and the options of models."""

from typing import Any, TypeAlias

# An ml_collections.ConfigDict. Its own annotations give every field the union of all types, of no use to a checker.
Config: TypeAlias = Any
