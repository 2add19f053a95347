"""Tensors from a file, by what the file is and not by what it is called. No code in a file is ever run."""

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
    """Tensors by name, each in its own dtype (bfloat16 as that of ml_dtypes).

    Args:
      path: a safetensors file, a PyTorch one of either format, or Keras's HDF5.
      entry: where in the file the weights lie, as 'state_dict_ema'; usual places are found. PyTorch only.

    Returns:
      A state dict's tensors without the prefixes that wrappers put before all names; of Keras's HDF5 those of
      `keras_files.read_keras`.

    Raises:
      WeightsError: not such a file, broken, or holding anything but tensors; says what and the remedy.
    """
    path = Path(path)
    try:
        tensors = _read(path, entry)
    except (WeightsError, FileNotFoundError, PermissionError):
        raise
    # A broken file makes its format's reader raise nearly anything.
    except Exception as error:
        raise _unreadable(path, error) from error
    check_names(path, tensors)
    return tensors


def read_metadata(path: str | Path) -> dict[str, str]:
    """The texts beside the tensors of a safetensors file; WeightsError if it is none, or broken."""
    path = Path(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise _unreadable(path, error) from error


def _read(path: Path, entry: str | None) -> dict[str, np.ndarray]:
    with path.open("rb") as stream:
        start = stream.read(16)
    # First, because the length that such a file begins with can look like the beginning of any other.
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
    raise WeightsError(f"{path}: is none of the known kinds of files ({_KNOWN})")


def _unreadable(path: Path, error: Exception) -> WeightsError:
    return WeightsError(
        f"{path}: cannot be read ({type(error).__name__}: {brief(error)}). Remedy: copy or download the file anew"
    )


def _is_safetensors(start: bytes) -> bool:
    """A length of 8 bytes, then JSON."""
    return len(start) > 8 and struct.unpack("<Q", start[:8])[0] < 1 << 32 and start[8:9] == b"{"
