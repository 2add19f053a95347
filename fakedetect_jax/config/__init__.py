"""Configs of experiments: where they are found, how they are overridden, and what their fields may be."""

from typing import Any, TypeAlias

# An ml_collections.ConfigDict. Its own annotations give every field the union of all types, which no checker can use.
Config: TypeAlias = Any
