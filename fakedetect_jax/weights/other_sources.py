"""Which other source's names a file has, for the error that it has not the ones asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.families import SOURCES
from fakedetect_jax.weights.matching import NoMatchError, is_complete
from fakedetect_jax.weights.naming import make_naming


@contextlib.contextmanager
def suggesting_sources(variables: Any, *, into: str | None = None) -> Iterator[None]:
    """Add to a `NoMatchError` the sources all of whose names for the model are in the file.

    Args:
        variables: the model's arrays or shapes.
        into: as for `make_naming`.
    """
    try:
        yield
    except NoMatchError as error:
        fitting = []
        for source, families in SOURCES.items():
            # A source that does not know the model's trunk has no names for it.
            with contextlib.suppress(WeightsError):
                if is_complete(error.states, make_naming(families, variables, into=into).expected):
                    fitting.append(source)
        if not fitting:
            raise
        raise WeightsError(f"{error}. It has all names of the source {' and of '.join(fitting)}") from error
