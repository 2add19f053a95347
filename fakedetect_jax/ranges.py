"""What a value may be: a test, and the words in which a wrong value is refused."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Range:
    """The values that something may have.

    Attributes:
        words: what a value must be, to be read after "it must be".
        allows: whether a value, of any type, is one of them.
    """

    words: str
    allows: Callable[[Any], bool]


def whole(low: int, high: int) -> Range:
    """Return the range of whole numbers from `low` to `high`, both included."""
    return Range(
        f"a whole number from {low:,} to {high:,}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high,
    )


def number(low: float, high: float, *, above: bool = False, below: bool = False) -> Range:
    """Return the range of finite numbers from `low` to `high`.

    `above` excludes `low` itself, and `below` excludes `high`.
    """

    def allows(value: Any) -> bool:
        if not _finite(value):
            return False
        return (value > low if above else value >= low) and (value < high if below else value <= high)

    return Range(
        f"a number {'above' if above else 'from'} {low:g}"
        f"{',' if above else ''} {'and below' if below else 'up to'} {high:g}",
        allows,
    )


def choice(*values: str) -> Range:
    """Return the range of the given words."""
    return Range(f"one of {', '.join(repr(value) for value in values)}", lambda value: value in values)


def text(pattern: str, words: str) -> Range:
    """Return the range of texts that match a regular expression as a whole."""
    return Range(words, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def several(item: Range, words: str, *, count: int | None = None) -> Range:
    """Return the range of tuples and lists of `count` values of `item`, or of at least one without a count."""

    def allows(value: Any) -> bool:
        sized = isinstance(value, tuple | list) and (len(value) == count if count else len(value) > 0)
        return sized and all(item.allows(part) for part in value)

    return Range(f"{words}, each {item.words}", allows)


def span(item: Range) -> Range:
    """Return the range of pairs (low, high) of values of `item` with low <= high."""
    pair = several(item, "(low, high)", count=2)
    return Range(
        f"(low, high) with low <= high, each {item.words}",
        lambda value: pair.allows(value) and value[0] <= value[1],
    )


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
