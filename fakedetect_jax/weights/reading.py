"""Tensors from a file, whose format is told by its content, not its name. No code in a file is ever run."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from fakedetect_jax import files
from fakedetect_jax.weights import keras_files, state, torch_files
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief, check_names
from fakedetect_jax.weights.tensor_plan import TensorPlan

_ZIP, _PICKLE, _HDF5 = b"PK", b"\x80", b"\x89HDF\r\n\x1a\n"
_KNOWN = "safetensors, PyTorch's .pth, .pt, .tar and .bin, and Keras's .h5"


def read_tensors(path: str | Path, *, entry: str | None = None) -> dict[str, np.ndarray]:
    """Read tensors by name, each in its own dtype (bfloat16 is ml_dtypes').

    Args:
        path: a safetensors file, a PyTorch file in either format, or a Keras HDF5 file.
        entry: the key that holds the weights, such as 'state_dict_ema'; usual keys are found without it. PyTorch only.

    Returns:
        The state dict's tensors, without the prefixes that wrappers put before all names. For Keras's HDF5, the
        tensors of `keras_files.read_keras`.

    Raises:
        WeightsError: the file has another format, is broken, or holds anything but tensors. The message gives the
            cause and the remedy.
    """
    path = Path(path)
    try:
        tensors = _read(path, entry)
    except (WeightsError, FileNotFoundError, PermissionError):
        raise
    # A format's reader may raise nearly anything on a broken file.
    except Exception as error:
        raise _unreadable(path, error) from error
    check_names(path, tensors)
    return tensors


def read_metadata(path: str | Path) -> dict[str, str]:
    """Read the text metadata of a safetensors file; raise WeightsError if it is broken or not such a file."""
    path = Path(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise _unreadable(path, error) from error


def _read(path: Path, entry: str | None) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:
        start = stream.read(16)
    # Tested first: a safetensors file begins with a length, which can look like the start of any other format.
    if _is_safetensors(start):
        return state.strip_prefixes(safetensors.numpy.load_file(path))
    if start.startswith((_ZIP, _PICKLE)):
        opened = torch_files.open_zip if start.startswith(_ZIP) else torch_files.open_legacy
        with opened(path) as file:
            found = state.find_state(file.tree, lambda value: isinstance(value, TensorPlan), str(path), entry)
            return file.tensors(state.strip_prefixes(found))
    if start.startswith(_HDF5):
        return keras_files.read_keras(path)
    if files.is_lfs_pointer(path):
        raise WeightsError(files.explain_lfs_pointer(path))
    raise WeightsError(f"{path}: is not one of the known file formats ({_KNOWN})")


def _unreadable(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: cannot be read ({type(error).__name__}: {brief(error)}). Remedy: copy or download the file again"
    )


def _is_safetensors(start: bytes) -> bool:
    """Return whether the file starts with an 8-byte length and then JSON."""
    return len(start) > 8 and struct.unpack("<Q", start[:8])[0] < 1 << 32 and start[8:9] == b"{"
