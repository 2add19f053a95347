"""Keras's HDF5 weights, through h5py.

An HDF5 file may point to other files and declare anything about its numbers. Keras writes only plain datasets, and only
those are read.
"""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief, check_total

# The group that holds the weights of a whole saved model.
_WEIGHTS_GROUP = "model_weights"
# The group in a Keras 3 .weights.h5, where weights have numbers instead of names.
_KERAS_3_GROUP = "layers"

_REMEDY = "if you trust the file, load it with Keras and save it again with model.save('FILE.h5')"


def read_keras(path: Path) -> dict[str, np.ndarray]:
    """Read tensors as `<kind>.<place>.<weight>`: 'conv2d.0.kernel' is the kernel of the first convolution made.

    Places are counted anew because Keras numbers layers of a kind through the life of a process.
    """
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise WeightsError(
            f"{path}: is an HDF5 file, which needs h5py. Remedy: pip install 'fakedetect_jax[h5]'"
        ) from error

    found: dict[tuple[str, str], Any] = {}
    with h5py.File(path, "r") as file:
        _refuse_links(h5py, path, file)
        group = file.get(_WEIGHTS_GROUP, file)
        if _KERAS_3_GROUP in group:
            raise WeightsError(
                f"{path}: is in Keras 3's format. Remedy: load it in Keras 3 and save it with model.save('FILE.h5')"
            )
        for layer in group:
            if isinstance(group[layer], h5py.Group):
                for name, dataset in _datasets(h5py, group[layer]).items():
                    weight = name.rsplit("/", 1)[-1].removesuffix(":0")
                    if (layer, weight) in found:
                        raise WeightsError(
                            f"{path}: layer {brief(layer)} has several weights named {brief(weight)}. "
                            "Remedy: save each nested model on its own"
                        )
                    found[layer, weight] = _checked(path, f"{layer}/{name}", dataset)
        check_total(path, (dataset.nbytes for dataset in found.values()))
        tensors = {place: dataset[()] for place, dataset in found.items()}
    kinds: dict[str, list[str]] = {}
    for layer in sorted({layer for layer, _ in found}, key=_number):
        kinds.setdefault(_kind(layer), []).append(layer)
    return {
        f"{_kind(layer)}.{kinds[_kind(layer)].index(layer)}.{weight}": value
        for (layer, weight), value in tensors.items()
    }


def _refuse_links(h5py: Any, path: Path, file: Any) -> None:
    # HDF5 stops at the first name returned; the callback must not raise.
    name = file.visititems_links(lambda name, link: None if isinstance(link, h5py.HardLink) else name)
    if name is not None:
        raise WeightsError(
            f"{path}: has a link at {_printable(name)}, which may lead to any file. Remedy: {_REMEDY}"
        )


def _datasets(h5py: Any, group: Any) -> dict[str, Any]:
    found = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item

    group.visititems(keep)
    return found


def _checked(path: Path, name: str, dataset: Any) -> Any:
    """Return the dataset; raise WeightsError unless it holds plain numbers, uncompressed, that fit in the file."""
    fault = _fault(dataset, path.stat().st_size)
    if fault:
        raise WeightsError(f"{path}: {_printable(name)} {fault}. Remedy: {_REMEDY}")
    return dataset


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


def _printable(name: str) -> str:
    return brief(name) if name.isprintable() else ascii(brief(name))


def _kind(layer: str) -> str:
    return re.sub(r"_\d+$", "", layer)


def _number(layer: str) -> int:
    """Return Keras's number of the layer; the first of a kind may have none, and counts as 0."""
    number = re.search(r"_(\d+)$", layer)
    return int(number[1]) if number else 0
