"""Overrides of a config's fields: `--config.FIELD=VALUE` on the command line, or a dict from a sweep."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from fakedetect_jax.config import Config, model_options
from fakedetect_jax.errors import ConfigError


def override(config: Config, arguments: Sequence[str]) -> Config:
    """Return `config` with the fields set that a command line names, each parsed by the type that it has.

    Args:
        config: the config of a file; it is changed.
        arguments: what is left of the command line; nothing but overrides.

    Raises:
        ConfigError: an argument is no override, its field does not exist, or its value is of another type.
    """
    others, options = model_options.split(arguments)
    for argument in others:
        if found := re.match(r"--?(?:no)?config\.([^=]*)", argument):
            _check_exists(config, found[1])
    values = flags.FlagValues()
    try:
        # config_flags wants a program's name in front, as sys.argv has it.
        config_flags.DEFINE_config_dict("config", config, flag_values=values, sys_argv=["", *others])
        left = values(["", *others])[1:]
    except flags.Error as error:
        raise ConfigError(f"{error}\n--help shows what can be given") from error
    except KeyError as error:
        raise ConfigError(f"{error.args[0]}; another override replaces the part that has it") from error
    if left:
        raise ConfigError(
            f"{left[0]!r} is not known; overrides are --config.FIELD=VALUE, and --help shows the rest"
        )
    config = values["config"].value
    if options:
        changed = model_options.override(config.model.name, config.model.options.to_dict(), options)
        with config.unlocked():
            config.model.options = changed
    return config


def replace(config: Config, fields: Mapping[str, Any]) -> Config:
    """Return a copy of `config` with some fields set, as {"optimizer.learning_rate": 1e-3}.

    Types are left to config.check.validate.

    Raises:
        ConfigError: a field does not exist.
    """
    changed: Config = ConfigDict(config.to_dict())
    with changed.unlocked(), changed.ignore_type():
        for field, value in fields.items():
            _check_exists(changed, field)
            *parents, last = field.split(".")
            node: Any = changed
            for parent in parents:
                if not isinstance(node.get(parent), ConfigDict):
                    node[parent] = ConfigDict()  # a part of the model that the config does not have yet
                node = node[parent]
            try:
                node[last] = value
            except OverflowError as error:
                raise ConfigError(f"config.{field} is too large a number: {ascii(value)[:50]}...") from error
            except ValueError as error:  # names with dots in a dict
                raise ConfigError(f"config.{field}: {str(error)[:200]}") from error
    return changed


def _check_exists(config: Config, field: str) -> None:
    """Raise ConfigError unless `config` has a field. Options of the model are checked later."""
    node: Any = config
    names = field.split(".")
    for depth, name in enumerate(names):
        parent = ".".join(["config", *names[:depth]])
        if parent == model_options.FIELD:
            return
        if not isinstance(node, ConfigDict):
            raise ConfigError(
                f"unknown field config.{field}: {parent} has no fields of its own; it is {node!r}"
            )
        if name not in node:
            raise ConfigError(
                f"unknown field config.{field}: {parent} has {', '.join(sorted(node)) or 'no fields'}"
            )
        node = node[name]
