"""What a file of weights may ask for before anything of it is believed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fakedetect_jax.weights.errors import WeightsError

# Some tensors of a file may share their numbers (tied weights), but not so many that a small file fills the memory.
MOST_TIMES = 4
_LONGEST_NAME = 500
_SHOWN = 200


def check_total(path: Path, sizes: Iterable[int]) -> None:
    """Refuse tensors of so many bytes each when they come to more than `MOST_TIMES` the size of their file."""
    total, size = sum(sizes), path.stat().st_size
    if total > MOST_TIMES * size:
        raise WeightsError(
            f"{path}: its tensors come to {brief(total)} bytes, more than {MOST_TIMES} times the {size} of the file: "
            "too many names share the same numbers. Remedy: save a clone() of each tensor"
        )


def check_names(path: Path, names: Iterable[str]) -> None:
    """Refuse names that are no names: they appear in reports and on terminals."""
    for name in names:
        if len(name) > _LONGEST_NAME or not name.isprintable():
            raise WeightsError(
                f"{path}: the name of a tensor has {len(name)} characters or signs that cannot be printed, and begins "
                f"{name[:_SHOWN]!r}. Remedy: copy or download the file anew"
            )


def brief(value: object) -> str:
    """A plain value (text, number, exception) for a message, cut where it would fill the screen."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a number of {value.bit_length()} bits"
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
