"""Checks of options: a wrong value is refused by name when a module is made, before anything is initialised.

Every check is called as `check(owner, ..., option=value)` in a module's `__post_init__`, with any number of options,
and raises FakedetectError with the owner, the option, its value and the remedy.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import flax.linen as nn
from flax.core import FrozenDict

from fakedetect_jax.errors import FakedetectError

DTYPES = ("float32", "bfloat16")
# A file that states a billion layers would keep whoever builds the model busy for ever.
MOST_LAYERS = 1000


def check_known(owner: str, known: Iterable[Any], **options: Any) -> None:
    """Raise unless every value is one of `known`."""
    known = tuple(known)
    for option, value in options.items():
        if value not in known:
            raise FakedetectError(
                f"{owner} {option}={value!r} is not known; use one of {', '.join(map(str, known))}"
            )


def check_dtype(owner: str, **options: Any) -> None:
    """Raise unless every value is one of `DTYPES`."""
    check_known(owner, DTYPES, **options)


def check_positive(owner: str, **options: Any) -> None:
    """Raise unless every value is a whole number of at least 1."""
    for option, value in options.items():
        if not _is_positive(value):
            raise FakedetectError(f"{owner} {option}={value!r} must be a whole number of at least 1")


def check_layers(owner: str, **options: Any) -> None:
    """Raise unless every value is a number of layers from 1 to `MOST_LAYERS`, or one for each stage."""
    for option, value in options.items():
        counts = value if isinstance(value, list | tuple) else (value,)
        if not all(_is_positive(count) and count <= MOST_LAYERS for count in counts):
            raise FakedetectError(
                f"{owner} {option}={value!r} must be whole numbers of layers from 1 to {MOST_LAYERS}"
            )


def check_rate(owner: str, **options: float) -> None:
    """Raise unless every value is a probability below 1, as a dropout rate is."""
    for option, value in options.items():
        if not 0 <= value < 1:
            raise FakedetectError(f"{owner} {option}={value!r} must be in [0, 1)")


def check_widths(owner: str, count: int, **options: Iterable[Any]) -> None:
    """Raise unless every value is `count` whole numbers of at least 1."""
    for option, value in options.items():
        if len(tuple(value)) != count or not all(map(_is_positive, value)):
            raise FakedetectError(f"{owner} {option}={value!r} must be {count} whole numbers of at least 1")


def option_names(module: type[nn.Module]) -> list[str]:
    """Return the names of a module's options."""
    return [field.name for field in dataclasses.fields(module) if field.name not in ("parent", "name")]


def check_names(owner: str, module: type[nn.Module], options: Iterable[str]) -> None:
    """Raise for names that are not options of `module`."""
    known = option_names(module)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise FakedetectError(f"{owner} has no option {', '.join(unknown)}; known: {', '.join(known)}")


def hashable(value: Any) -> Any:
    """Return mappings as FrozenDict and lists as tuples: flax compares and hashes modules by their attributes."""
    if isinstance(value, Mapping):
        return FrozenDict({key: hashable(item) for key, item in value.items()})
    return tuple(hashable(item) for item in value) if isinstance(value, list | tuple) else value


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
