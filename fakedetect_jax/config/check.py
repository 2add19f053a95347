"""The check of a config against the one that has every field."""

from __future__ import annotations

from typing import Any

from fakedetect_jax.augment import SelfBlendRecipe
from fakedetect_jax.config import Config, model_options
from fakedetect_jax.config.ranges import FIELDS, SOURCE, Range
from fakedetect_jax.errors import ConfigError, FakedetectError
from fakedetect_jax.weights import families

# Sections whose keys the experiment chooses, and the fields of each of their values.
SOURCES = ("data.train", "validation.sources", "evaluation.sources")
_SOURCE = {"dataset": "", "split": "", "methods": (), "limit": 0, "shared_people": ""}
# Sections that the model checks.
OPEN = ("model.options",)


def validate(config: Config, reference: Config) -> None:
    """Check that `config` has the fields of `reference`, of the same types, with values in their ranges.

    Raises:
        ConfigError: names the field, its value, and what is known or allowed.
    """
    given = config.to_dict()
    _check_mapping(given, reference.to_dict(), "")
    _check_ranges(leaves(given), FIELDS, "")
    for field in SOURCES:
        for key, entry in _get(given, field).items():
            _check_ranges(entry, SOURCE, f"{field}.{key}.")
    _check_together(given)
    model_options.check(given["model"]["name"], given["model"]["options"])


def leaves(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the fields of a config as {"section.field": value}, without those whose keys the experiment chooses."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        field = f"{prefix}{name}"
        if field in (*SOURCES, *OPEN):
            continue
        found |= leaves(value, f"{field}.") if isinstance(value, dict) else {field: value}
    return found


def _check_mapping(given: dict[str, Any], reference: dict[str, Any], prefix: str) -> None:
    unknown, missing = sorted(given.keys() - reference.keys()), sorted(reference.keys() - given.keys())
    where = f"config.{prefix}".rstrip(".")
    if unknown:
        raise ConfigError(f"{where} has no field {unknown}; it has {sorted(reference)}")
    if missing:
        raise ConfigError(f"{where} lacks {missing}; start from configs/base.py")
    for name, default in reference.items():
        field, value = f"{prefix}{name}", given[name]
        if isinstance(default, dict) and not isinstance(value, dict):
            raise ConfigError(f"config.{field}={value!r}; it must have the fields {sorted(default)}")
        if field in OPEN:
            continue
        if field in SOURCES:
            for key, entry in value.items():
                if not isinstance(entry, dict):
                    raise ConfigError(
                        f"config.{field}.{key}={entry!r}; it must have the fields {sorted(_SOURCE)}"
                    )
                _check_mapping(entry, _SOURCE, f"{field}.{key}.")
        elif isinstance(default, dict):
            _check_mapping(value, default, f"{field}.")
        elif not _same_kind(value, default):
            raise ConfigError(f"config.{field}={value!r}; it must be of type {type(default).__name__}")


def _check_ranges(given: dict[str, Any], ranges: dict[str, Range], prefix: str) -> None:
    for field, value in given.items():
        if not ranges[field].allows(value):
            raise ConfigError(f"config.{prefix}{field}={value!r}; it must be {ranges[field].words}")


def _check_together(given: dict[str, Any]) -> None:
    """Check fields against one another."""
    for field in ("data.train", "validation.sources"):
        if not _get(given, field):
            raise ConfigError(f"config.{field} is empty; name at least one source (configs/base.py)")
    warmup, steps = given["optimizer"]["warmup_steps"], given["train"]["steps"]
    if warmup >= steps:
        raise ConfigError(
            f"config.optimizer.warmup_steps={warmup}; it must be below config.train.steps={steps}"
        )
    if given["model"]["init_source"] and not given["model"]["init_from"]:
        raise ConfigError(
            f"config.model.init_source={given['model']['init_source']!r} says whose names a file uses,"
            " but config.model.init_from names no file; set both or neither"
        )
    if given["model"]["init_source"] not in ("", *families.SOURCES):
        raise ConfigError(
            f"config.model.init_source={given['model']['init_source']!r}; it must be one of"
            f" {', '.join(families.SOURCES)}, or '' for a file that `fakedetect weights import` wrote"
        )
    recipe = given["input"]["recipe"]
    try:
        SelfBlendRecipe(**{n: tuple(v) if isinstance(v, list) else v for n, v in recipe.items()})
    except FakedetectError as error:
        raise ConfigError(f"config.input.recipe: {error}") from error


def _same_kind(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, tuple | list):
        return isinstance(value, tuple | list)
    return isinstance(value, type(default))


def _get(config: Config | dict[str, Any], field: str) -> Any:
    value: Any = config
    for name in field.split("."):
        value = value[name]
    return value
