"""Checks a config against the one that has every field, and compares two of them."""

from __future__ import annotations

from typing import Any, TypeAlias

from ml_collections import ConfigDict

from fakedetect_jax.errors import FakedetectError

# An ml_collections.ConfigDict. Its own annotations give every field the union of all types, of no use to a checker.
Config: TypeAlias = Any

# Whose keys the experiment chooses, and what each value must look like.
_SOURCE = {"dataset": "", "split": "", "methods": (), "limit": 0, "shared_people": ""}
_SOURCES = ("data.train", "validation.sources", "evaluation.sources")
# Checked by the model that takes them.
_OPEN = ("model.options",)
_CHOICES = {
    "input.fakes": ("self_blend", "recorded"),
    "validation.fakes": ("self_blend", "recorded"),
}
_AT_LEAST_ONE = (
    "data.threads",
    "clip.frames",
    "clip.size",
    "train.steps",
    "train.log_every",
    "train.checkpoint_every",
    "train.batch_size",
    "validation.every",
    "validation.batch_size",
    "evaluation.batch_size",
    "evaluation.resamples",
)


class ConfigError(FakedetectError):
    """A field that does not exist, or a value that it cannot have."""


def validate(config: Config, reference: Config) -> None:
    """Checks that `config` has the fields of `reference`, of the same types, and values that make sense.

    Raises:
      ConfigError: names the field, its value, and what is known or allowed.
    """
    _check_mapping(config.to_dict(), reference.to_dict(), "")
    for field, choices in _CHOICES.items():
        if (value := _get(config, field)) not in choices:
            raise ConfigError(f"config.{field}={value!r}; it must be one of {choices}")
    for field in _AT_LEAST_ONE:
        if (value := _get(config, field)) < 1:
            raise ConfigError(f"config.{field}={value}; it must be at least 1")
    if not config.data.train:
        raise ConfigError("config.data.train is empty; name at least one source (configs/base.py)")
    if not config.validation.sources:
        raise ConfigError("config.validation.sources is empty; the best checkpoint is chosen on it")


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


def _check_mapping(given: dict[str, Any], reference: dict[str, Any], prefix: str) -> None:
    unknown, missing = sorted(given.keys() - reference.keys()), sorted(reference.keys() - given.keys())
    where = f"config.{prefix}".rstrip(".")
    if unknown:
        raise ConfigError(f"{where} has no field {unknown}; it has {sorted(reference)}")
    if missing:
        raise ConfigError(f"{where} lacks {missing}; start from configs/base.py")
    for name, default in reference.items():
        field, value = f"{prefix}{name}", given[name]
        if field in _OPEN:
            continue
        if field in _SOURCES:
            for key, entry in value.items():
                _check_mapping(entry, _SOURCE, f"{field}.{key}.")
        elif isinstance(default, dict):
            if not isinstance(value, dict):
                raise ConfigError(f"config.{field}={value!r}; it must have the fields {sorted(default)}")
            _check_mapping(value, default, f"{field}.")
        elif not _same_kind(value, default):
            raise ConfigError(f"config.{field}={value!r}; it must be of type {type(default).__name__}")


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


def _get(config: Config, field: str) -> Any:
    value: Any = config
    for name in field.split("."):
        value = value[name]
    return value
