"""Tensors from a file, whose format is told by its content, not its name. No code in a file is ever run."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from fakedetect_jax.weights import foreign_formats, keras_files, torch_files
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief, check_names
from fakedetect_jax.weights.matching import Match, ambiguity, best_matches
from fakedetect_jax.weights.state_dicts import StateDicts, find_state_dicts, full_name
from fakedetect_jax.weights.tensor_plan import TensorPlan

_ZIP, _PICKLE, _HDF5 = b"PK", b"\x80", b"\x89HDF\r\n\x1a\n"
# Equally good places are compared number by number, but not any number of them.
_MOST_COMPARED = 4


@dataclasses.dataclass(frozen=True)
class Found:
    """The tensors of one network in a file.

    Attributes:
        tensors: arrays by name, without the prefix.
        prefix: what stands before these names in the file, such as 'state_dict.module.'.
        beside: full names of the file's other tensors.
    """

    tensors: dict[str, np.ndarray]
    prefix: str
    beside: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class _OpenFile:
    """The state dicts of a file, with handles in place of tensors, and the function that reads some handles."""

    path: Path
    states: StateDicts[Any]
    reader: Callable[[Mapping[str, Any]], dict[str, np.ndarray]]

    def read(self, handles: Mapping[str, Any]) -> dict[str, np.ndarray]:
        with _naming_trouble(self.path):
            return self.reader(handles)


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read all tensors by name, each in its own dtype (bfloat16 is ml_dtypes').

    Args:
        path: a safetensors file, a PyTorch file in either format, or a Keras HDF5 file.

    Returns:
        Arrays by name, after the place of their state dict, such as 'state_dict.conv1.weight'. For Keras's HDF5, the
        tensors of `keras_files.read_keras`.

    Raises:
        WeightsError: the file has another format, is broken, or holds anything but tensors. The message gives the
            cause and the remedy.
    """
    with _opened(Path(path)) as file:
        return file.read(
            {
                full_name(place, name): handle
                for place, state in file.states.items()
                for name, handle in state.items()
            }
        )


def read_matching(path: str | Path, expected: Collection[str], *, prefix: str | None = None) -> Found:
    """Read the network whose tensors have the `expected` names, wherever it lies in the file.

    Args:
        path: as for `read_tensors`.
        expected: names of the network's tensors, such as 'conv1.weight'.
        prefix: the place or prefix to look below, such as 'model_ema'; needed where several fit equally well.

    Raises:
        WeightsError: as for `read_tensors`; or the names are not in the file, or in several places with different
            numbers.
    """
    path = Path(path)
    with _opened(path) as file:
        best = best_matches(file.states, expected, prefix, str(path))
        if len(best) > 1 and not _same_numbers(file, best, expected):
            raise ambiguity(str(path), best)
        match = best[0]
        names = match.names(file.states[match.place])
        handles = {short: file.states[match.place][name] for short, name in names.items()}
        taken = {full_name(match.place, name) for name in names.values()}
        every = (full_name(place, name) for place, state in file.states.items() for name in state)
        return Found(
            file.read(handles), match.full_prefix, tuple(name for name in every if name not in taken)
        )


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the text metadata of a safetensors file; raise WeightsError if it is broken or not such a file."""
    path = Path(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise _unreadable(path, error) from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_OpenFile]:
    with contextlib.ExitStack() as stack:
        with _naming_trouble(path):
            with path.open("rb") as stream:
                start = stream.read(foreign_formats.LONGEST_START)
            file = stack.enter_context(_format(path, start))
            for place, state in file.states.items():
                check_names(path, (full_name(place, name) for name in state))
        yield file


@contextlib.contextmanager
def _naming_trouble(path: Path) -> Iterator[None]:
    """Turn any error of a format's reader, which may raise nearly anything on a broken file, into a WeightsError."""
    try:
        yield
    except (WeightsError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _format(path: Path, start: bytes) -> contextlib.AbstractContextManager[_OpenFile]:
    # Tested first: a safetensors file begins with a length, which can look like the start of any other format.
    if _is_safetensors(start):
        return _safetensors(path)
    if start.startswith((_ZIP, _PICKLE)):
        return _torch(path, torch_files.open_zip if start.startswith(_ZIP) else torch_files.open_legacy)
    if start.startswith(_HDF5):
        return contextlib.nullcontext(_OpenFile(path, {"": keras_files.read_keras(path)}, dict))
    raise WeightsError(foreign_formats.explain(path, start))


@contextlib.contextmanager
def _safetensors(path: Path) -> Iterator[_OpenFile]:
    with safetensors.safe_open(path, framework="numpy") as file:

        def read(wanted: Mapping[str, str]) -> dict[str, np.ndarray]:
            return {short: _numbers(path, file, name) for short, name in wanted.items()}

        names = {name: name for name in file.keys()}  # noqa: SIM118 (not a dict)
        yield _OpenFile(path, {"": names}, read)


@contextlib.contextmanager
def _torch(
    path: Path, opened: Callable[[Path], contextlib.AbstractContextManager[torch_files.TorchFile]]
) -> Iterator[_OpenFile]:
    with opened(path) as file:
        states = find_state_dicts(file.tree, lambda value: isinstance(value, TensorPlan), str(path))
        yield _OpenFile(path, states, file.tensors)


def _same_numbers(file: _OpenFile, matches: Sequence[Match], expected: Collection[str]) -> bool:
    """Return whether the expected tensors are equal in all places, as where a module is registered twice."""
    if len(matches) > _MOST_COMPARED:
        return False

    def read(match: Match) -> dict[str, np.ndarray]:
        state = file.states[match.place]
        names = match.names(state)
        return file.read({short: state[name] for short, name in names.items() if short in expected})

    first, *others = map(read, matches)
    return all(
        other.keys() == first.keys() and all(np.array_equal(other[name], first[name]) for name in first)
        for other in others
    )


def _numbers(path: Path, file: Any, name: str) -> np.ndarray:
    """Read one tensor of a safetensors file."""
    try:
        return file.get_tensor(name)
    except (AttributeError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise WeightsError(
            f"{path}: {name} has numbers of type {file.get_slice(name).get_dtype()}, which cannot be read. Remedy: "
            "load the file with PyTorch, and save its tensors as float32"
        ) from error


def _unreadable(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: cannot be read ({type(error).__name__}: {brief(error)}). Remedy: copy or download the file again"
    )


def _is_safetensors(start: bytes) -> bool:
    """Return whether the file starts with an 8-byte length and then JSON."""
    return len(start) > 8 and struct.unpack("<Q", start[:8])[0] < 1 << 32 and start[8:9] == b"{"
