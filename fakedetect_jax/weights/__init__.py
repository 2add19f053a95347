"""Foreign weights for our models: files are read without running their code, and a partial match is refused."""

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.families import SOURCES
from fakedetect_jax.weights.importing import MismatchError, Report, load_file, load_into
from fakedetect_jax.weights.naming import Naming, make_naming, same_names
from fakedetect_jax.weights.reading import read_matching, read_metadata, read_tensors

__all__ = [
    "SOURCES",
    "MismatchError",
    "Naming",
    "Report",
    "WeightsError",
    "load_file",
    "load_into",
    "make_naming",
    "read_matching",
    "read_metadata",
    "read_tensors",
    "same_names",
]
