"""Checks a config against the one that has every field, and compares two of them."""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from fakedetect_jax.augment import SelfBlendRecipe
from fakedetect_jax.config import Config, model_options
from fakedetect_jax.config.ranges import FIELDS, SOURCE, Range
from fakedetect_jax.errors import ConfigError, FakedetectError

# Whose keys the experiment chooses, and what each value must look like.
_SOURCE = {"dataset": "", "split": "", "methods": (), "limit": 0, "shared_people": ""}
SOURCES = ("data.train", "validation.sources", "evaluation.sources")
# Checked by the model that takes them.
OPEN = ("model.options",)


def validate(config: Config, reference: Config) -> None:
    """Checks that `config` has the fields of `reference`, of the same types, and values that make sense.

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


def known_fields(override: str, reference: Config) -> str:
    """Says which fields there are where an override `--config.a.b=...` names one that is not; else ''."""
    node: Any = reference
    names = override.split("=")[0].removeprefix("--config.").split(".")
    for depth, name in enumerate(names):
        if not isinstance(node, ConfigDict) or not len(node):
            return ""
        if name not in node:
            return f"{'.'.join(['config', *names[:depth]])} has {sorted(node)}"
        node = node[name]
    return ""


def differences(saved: dict[str, Any], current: dict[str, Any], prefix: str = "") -> list[str]:
    """Lists the fields that differ, as `field: saved -> current`."""
    rows = []
    for name in sorted(saved.keys() | current.keys()):
        before, now = saved.get(name, "absent"), current.get(name, "absent")
        if isinstance(before, dict) and isinstance(now, dict):
            rows += differences(before, now, f"{prefix}{name}.")
        elif _plain(before) != _plain(now):
            rows.append(f"config.{prefix}{name}: {before!r} -> {now!r}")
    return rows


def leaves(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Lists the fields of a config as `section.field: value`, but for those whose keys the experiment chooses."""
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
    """Checks what takes several fields."""
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
            f"config.model.init_source={given['model']['init_source']!r} says whose names a file has, but"
            " config.model.init_from names no file; set both or neither"
        )
    from fakedetect_jax.weights.families import SOURCES as NAMINGS

    if given["model"]["init_source"] not in ("", *NAMINGS):
        raise ConfigError(
            f"config.model.init_source={given['model']['init_source']!r}; it must be one of {', '.join(NAMINGS)}, or ''"
            " for a file of `fakedetect weights import`"
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


def _plain(value: Any) -> Any:
    """JSON turns tuples into lists."""
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _get(config: Config | dict[str, Any], field: str) -> Any:
    value: Any = config
    for name in field.split("."):
        value = value[name]
    return value
