"""The options of a config's model: their names, their types, and how the command line sets them.

The model decides which options it has. So configs/base.py cannot list them, and ml_collections would refuse those that
the config file does not set.
"""

from __future__ import annotations

import ast
import collections.abc
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from fakedetect_jax.config import Config
from fakedetect_jax.errors import ConfigError, FakedetectError

FIELD = "config.model.options"
_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    type(None): "None",
    collections.abc.Mapping: "options, as \"{'variant': 'tiny'}\"",
}


def resolve(config: Config) -> dict[str, Any]:
    """Return what models.create takes besides the name, as plain Python values: the options and the precision."""
    return config.model.options.to_dict() | {"dtype": config.train.dtype}


def split(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Take the overrides of options out of a command line.

    Returns:
        The other arguments, and the text of each override by the option's path, as {"spatial.variant": "base"}.

    Raises:
        ConfigError: an override has no value.
    """
    others, texts = [], {}
    waiting = iter(arguments)
    for argument in waiting:
        found = re.fullmatch(rf"--?{re.escape(FIELD)}\.([^=]*)(=(.*))?", argument, re.DOTALL)
        if not found:
            others.append(argument)
            continue
        text = found[3] if found[2] else next(waiting, None)
        if text is None:
            raise ConfigError(f"{argument} has no value; write {argument}=VALUE")
        texts[found[1]] = text
    return others, texts


def override(name: str, options: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the options of the model `name` with overrides as `split` returns them.

    Raises:
        ConfigError: the model has no such option (names those that it has), or the text is of another type.
    """
    changed = dict(options)
    # The name of a part's kind comes first: it decides which options the part has.
    for path in sorted(texts, key=lambda path: path.split(".")[-1] != "name"):
        *parents, last = path.split(".")
        node, types_of = changed, option_types(name)
        for depth, parent in enumerate(parents):
            _check_known(parents[:depth], parent, types_of)
            held = node.get(parent)
            if held is not None and not isinstance(held, Mapping):
                where = ".".join([FIELD, *parents[: depth + 1]])
                raise ConfigError(f"{where} has no options of its own; it is {held!r}")
            node[parent] = dict(held or {})
            node = node[parent]
            types_of = part_types(name, parents[: depth + 1], node)
        _check_known(parents, last, types_of)
        node[last] = _parse(path, texts[path], types_of[last] if types_of else Any)
    return changed


def check(name: str, options: Mapping[str, Any]) -> None:
    """Check that the model `name` exists and takes `options`.

    Raises:
        ConfigError: names the option, its value, and what is known or wanted.
    """
    from fakedetect_jax import models

    _check_level(name, [], options)
    try:
        models.create(name, **options)
    except FakedetectError as error:
        raise ConfigError(f"{FIELD}: {error}") from error


def option_types(name: str) -> dict[str, Any]:
    """Return the type of each option of the model `name`."""
    from fakedetect_jax.models.catalogue import CATALOGUE

    if name not in CATALOGUE:
        raise ConfigError(f"config.model.name={name!r}; it must be one of {', '.join(CATALOGUE)}")
    return _types(CATALOGUE[name].model)


def part_types(name: str, path: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the type of each option of a part of the model.

    Args:
        name: the model.
        path: where the part is, as ["spatial"].
        options: the part's options, whose "name" chooses its kind.

    Returns:
        The types, or None where only the model knows them.
    """
    from fakedetect_jax.models.catalogue import CATALOGUE
    from fakedetect_jax.models.detector import PARTS, Detector

    if CATALOGUE[name].model is not Detector or len(path) != 1 or path[0] not in PARTS:
        return None
    kinds, default = PARTS[path[0]]
    standing = CATALOGUE[name].options.get(path[0]) or {}
    kind = options.get("name") or standing.get("name") or default
    if not isinstance(kind, str) or kind not in kinds:
        raise ConfigError(f"{FIELD}.{path[0]}.name={kind!r}; it must be one of {', '.join(kinds)}")
    return {"name": str, **_types(kinds[kind])}


def _types(module: type) -> dict[str, Any]:
    from fakedetect_jax.models.options import option_names

    hints = typing.get_type_hints(module)
    return {option: hints[option] for option in option_names(module)}


def _check_level(name: str, path: list[str], options: Mapping[str, Any]) -> None:
    types_of = part_types(name, path, options) if path else option_types(name)
    for option, value in options.items():
        _check_known(path, option, types_of)
        if types_of is None:
            continue
        if not _is(value, types_of[option]):
            field = ".".join([FIELD, *path, option])
            raise ConfigError(f"{field}={value!r}; it must be {_words(types_of[option])}")
        if isinstance(value, Mapping):
            _check_level(name, [*path, option], value)


def _check_known(path: Sequence[str], option: str, types_of: dict[str, Any] | None) -> None:
    if option == "dtype":
        field = ".".join([FIELD, *path, option])
        raise ConfigError(f"{field} cannot be set; config.train.dtype is the precision of the whole model")
    if types_of is not None and option not in types_of:
        raise ConfigError(
            f"{'.'.join([FIELD, *path])} has no option {option!r}; it has {', '.join(types_of)}"
        )


def _parse(path: str, text: str, wanted: Any) -> Any:
    """Return a text as a Python literal if that is of the wanted type, else as it is if text is wanted."""
    try:
        value = ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (SyntaxError, ValueError):
        value = text
    for candidate in (value, text):
        if _is(candidate, wanted):
            return candidate
    raise ConfigError(f"{FIELD}.{path}={text!r}; it must be {_words(wanted)}")


def _is(value: Any, wanted: Any) -> bool:
    if wanted is Any:
        return True
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, member) for member in typing.get_args(wanted))
    if origin is collections.abc.Sequence:
        (item,) = typing.get_args(wanted)
        return isinstance(value, tuple | list) and all(_is(part, item) for part in value)
    if origin is collections.abc.Mapping:
        return isinstance(value, Mapping)
    if wanted is bool or isinstance(value, bool):
        return wanted is bool and isinstance(value, bool)
    if wanted is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, wanted)


def _words(wanted: Any) -> str:
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(member) for member in typing.get_args(wanted))
    if origin is collections.abc.Sequence:
        return (
            "texts, as \"('a', 'b')\"" if typing.get_args(wanted) == (str,) else 'whole numbers, as "(1, 2)"'
        )
    return _WORDS[origin or wanted]
