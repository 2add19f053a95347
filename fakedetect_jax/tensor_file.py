"""Writing a safetensors file as any other file is written: whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from fakedetect_jax import atomic


def write_tensors(
    path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays by name, and texts beside them, into a file whose mode follows the umask.

    safetensors' own `save_file` makes a file that its owner alone can read, and reports a full disk by an exception of
    its own.

    Raises:
      OSError: no room, or no such folder.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    atomic.write_bytes(path, save(contiguous, metadata=dict(metadata) if metadata else None))
