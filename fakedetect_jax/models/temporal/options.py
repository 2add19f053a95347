"""Checks of options, shared by the temporal parts: a wrong value is refused by name before anything is built."""

from collections.abc import Iterable
from typing import Any

from fakedetect_jax.errors import FakedetectError

DTYPES = ("float32", "bfloat16")


def check_known(owner: str, field: str, value: Any, known: Iterable[Any]) -> None:
    """ValueError unless `value` is one of `known`."""
    known = tuple(known)
    if value not in known:
        raise FakedetectError(
            f"{owner} {field}={value!r} is not known; use one of {', '.join(map(str, known))}"
        )


def check_positive(owner: str, **fields: int) -> None:
    """ValueError unless every field is a whole number of at least 1."""
    for field, value in fields.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise FakedetectError(f"{owner} {field}={value!r} must be a whole number of at least 1")


def check_rate(owner: str, **fields: float) -> None:
    """ValueError unless every field is a probability below 1, as a dropout rate is."""
    for field, value in fields.items():
        if not 0 <= value < 1:
            raise FakedetectError(f"{owner} {field}={value!r} must be in [0, 1)")
