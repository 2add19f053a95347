"""Keras's HDF5 weights, through h5py.

An HDF5 file may point to other files, and say of its numbers what it likes. Keras writes plain datasets alone, and only
such are read.
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

# What a whole saved model puts its weights under.
_WEIGHTS_GROUP = "model_weights"
# What the .weights.h5 of Keras 3 has, in which weights have numbers and no names.
_KERAS_3_GROUP = "layers"

_REMEDY = "where you trust the file, load it with Keras and save it anew with model.save('FILE.h5')"


def read_keras(path: Path) -> dict[str, np.ndarray]:
    """Tensors as `<kind>.<place>.<weight>`: 'conv2d.0.kernel' is that of the convolution that was made first.

    Keras numbers the layers of a kind through the life of a process, so its own numbers mean nothing.
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
                f"{path}: is in Keras 3's form. Remedy: load it there and save it with model.save('FILE.h5')"
            )
        for layer in group:
            if isinstance(group[layer], h5py.Group):
                for name, dataset in _datasets(h5py, group[layer]).items():
                    weight = name.rsplit("/", 1)[-1].removesuffix(":0")
                    if (layer, weight) in found:
                        raise WeightsError(
                            f"{path}: layer {brief(layer)} has several weights {brief(weight)}. Remedy: save the "
                            "models within the model each on their own"
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
    # HDF5 stops at the first name that is returned, and takes no exception.
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
    """The dataset; WeightsError unless its numbers are numbers, lie in the file as they are, and fit into it."""
    fault = _fault(dataset, path.stat().st_size)
    if fault:
        raise WeightsError(f"{path}: {_printable(name)} {fault}. Remedy: {_REMEDY}")
    return dataset


def _fault(dataset: Any, file_size: int) -> str | None:
    layout = dataset.id.get_create_plist()
    # Before the size, which HDF5 would look up in the other file.
    if dataset.is_virtual or layout.get_external_count():
        return "keeps its numbers in another file"
    if dataset.dtype.kind not in "biuf":
        return "holds no plain numbers"
    if layout.get_nfilters():
        return "is compressed, as Keras never does"
    chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
    there = min(file_size, dataset.id.get_storage_size())
    if dataset.nbytes > there or chunk > file_size:
        return f"declares {max(dataset.nbytes, chunk)} bytes, and the file has {there} for them"
    return None


def _printable(name: str) -> str:
    return brief(name) if name.isprintable() else ascii(brief(name))


def _kind(layer: str) -> str:
    return re.sub(r"_\d+$", "", layer)


def _number(layer: str) -> int:
    """Keras's number of the layer; the first of a kind may have none."""
    number = re.search(r"_(\d+)$", layer)
    return int(number[1]) if number else 0
