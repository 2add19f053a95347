"""Tensors from a file, by what the file is and not by what it is called. No code in a file is ever run."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from fakedetect_jax.weights import keras_files, state, torch_files
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.torch_pickle import TensorPlan

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
    with path.open("rb") as stream:
        start = stream.read(16)
    try:
        # First, because the length that such a file begins with can look like the beginning of any other.
        if _is_safetensors(start):
            return state.strip_prefixes(safetensors.numpy.load_file(path))
        if start.startswith((_ZIP, _PICKLE)):
            is_zip = start.startswith(_ZIP)
            file = torch_files.open_zip(path) if is_zip else torch_files.open_legacy(path)
            found = state.find_state(file.tree, lambda value: isinstance(value, TensorPlan), str(path), entry)
            return {name: file.tensor(name, plan) for name, plan in state.strip_prefixes(found).items()}
        if start.startswith(_HDF5):
            return keras_files.read_keras(path)
    except (WeightsError, FileNotFoundError, PermissionError):
        raise
    # A broken pickle makes its machine raise nearly anything, and so do the other formats' readers.
    except Exception as error:
        raise WeightsError(
            f"{path}: cannot be read ({type(error).__name__}: {error}). Remedy: copy or download the file anew"
        ) from error
    raise WeightsError(f"{path}: is none of the known kinds of files ({_KNOWN})")


def read_metadata(path: str | Path) -> dict[str, str]:
    """The texts beside the tensors of a safetensors file."""
    with safetensors.safe_open(path, framework="numpy") as file:
        return dict(file.metadata() or {})


def _is_safetensors(start: bytes) -> bool:
    """A length of 8 bytes, then JSON."""
    return len(start) > 8 and struct.unpack("<Q", start[:8])[0] < 1 << 32 and start[8:9] == b"{"
