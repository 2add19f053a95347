"""The plain numbers of an HDF5 file, read by a process of its own, because the HDF5 library may crash on a bad file.

An HDF5 file may point to other files and declare anything about its numbers. Keras writes only plain datasets, and only
those are read. This file is also the process's program: it imports nothing of the package, so as to start at once.

    python hdf5.py FILE MOST_BYTES

writes the numbers as safetensors to its output, or ends with `REFUSED` or `BROKEN` and writes why as JSON.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import sys
from typing import Any

import numpy as np
import safetensors.numpy

REFUSED, BROKEN = 3, 4
# The group that holds the weights of a whole saved model.
_WEIGHTS_GROUP = "model_weights"
# The library can run in circles on a broken file; after this, the process ends even if its parent has gone.
MOST_SECONDS = 120
# Address space for Python and its libraries, beside what the numbers take.
_OWN_MEMORY = 16 << 30


class RefusedError(Exception):
    """What the file has at a name is not read; the arguments are the name and the reason."""


def read(path: str, most: int) -> dict[str, np.ndarray]:
    """Return the datasets below the groups that hold the layers, by their path.

    Raises:
        RefusedError: the file has a link, or a dataset that holds no plain numbers, or more than `most` bytes of them.
    """
    h5py: Any = importlib.import_module("h5py")
    with h5py.File(path, "r") as file:
        # HDF5 stops at the first name returned; the callback must not raise.
        link = file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else name)
        if link is not None:
            raise RefusedError(link, "is a link, which may lead to any file")
        group = file.get(_WEIGHTS_GROUP, file)
        found = {
            f"{layer}/{name}": dataset
            for layer in group
            if isinstance(group[layer], h5py.Group)
            for name, dataset in _datasets(h5py, group[layer]).items()
        }
        for name, dataset in found.items():
            if fault := _fault(dataset, os.path.getsize(path)):
                raise RefusedError(name, fault)
        total = sum(dataset.nbytes for dataset in found.values())
        if total > most:
            raise RefusedError(
                "",
                f"its tensors come to {total} bytes, more than the {most} that it may have: names share data",
            )
        return {name: np.asarray(dataset[()]) for name, dataset in found.items()}


def _datasets(h5py: Any, group: Any) -> dict[str, Any]:
    found = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    group.visititems(keep)
    return found


def _fault(dataset: Any, file_size: int) -> str | None:
    layout = dataset.id.get_create_plist()
    # Checked before the size, which HDF5 would look up in the other file.
    if dataset.is_virtual or layout.get_external_count():
        return "keeps its numbers in another file"
    if dataset.dtype.kind not in "biuf":
        return "does not hold plain numbers"
    if layout.get_nfilters():
        return "is compressed, which Keras never does"
    chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
    there = min(file_size, dataset.id.get_storage_size())
    if dataset.nbytes > there or chunk > file_size:
        return f"declares {max(dataset.nbytes, chunk)} bytes, but the file has only {there} for them"
    return None


def main(path: str, most: int) -> int:
    """Write the numbers, or the reason why not, and return the exit status."""
    # No such module on Windows; not all limits on macOS.
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_OWN_MEMORY + 8 * most,) * 2)
    try:
        data = safetensors.numpy.save(read(path, most))
    except RefusedError as error:
        status, data = REFUSED, json.dumps(error.args).encode()
    # The HDF5 library may raise nearly anything on a broken file.
    except Exception as error:
        status, data = BROKEN, json.dumps([type(error).__name__, str(error)]).encode()
    else:
        status = 0
    sys.stdout.buffer.write(data)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
