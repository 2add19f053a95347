"""Limits on what an untrusted weights file may declare."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fakedetect_jax.weights.errors import WeightsError

# Tensors may share storage (tied weights), but not so many that a small file fills the memory.
MOST_TIMES = 4
_LONGEST_NAME = 500
_SHOWN = 200


def check_total(path: Path, sizes: Iterable[int]) -> None:
    """Raise WeightsError if tensors of `sizes` bytes total more than `MOST_TIMES` the size of their file."""
    total, size = sum(sizes), path.stat().st_size
    if total > MOST_TIMES * size:
        raise WeightsError(
            f"{path}: its tensors come to {brief(total)} bytes, more than {MOST_TIMES} times the file's {size} bytes: "
            "too many names share the same data. Remedy: save a clone() of each tensor"
        )


def check_names(path: Path, names: Iterable[str]) -> None:
    """Raise WeightsError for overlong or unprintable names, since names appear in reports and on terminals."""
    for name in names:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise WeightsError(
                f"{path}: the name of a tensor has {len(name)} characters, or some that cannot be printed, and begins "
                f"{name[:_SHOWN]!r}. Remedy: copy or download the file again"
            )


def brief(value: object) -> str:
    """Format a plain value (text, number, exception) for a message: on one line, and cut before it fills the screen.

    What cannot be printed becomes escapes: a file's names must not reach a terminal as commands.
    """
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a number of {value.bit_length()} bits"
    text = str(value)
    shown = "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text[:_SHOWN]
    )
    return shown if len(text) <= _SHOWN else f"{shown}..."
