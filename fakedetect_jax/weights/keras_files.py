"""Keras's HDF5 weights, through h5py."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.weights.errors import WeightsError

# What a whole saved model puts its weights under.
_WEIGHTS_GROUP = "model_weights"
# What the .weights.h5 of Keras 3 has, in which weights have numbers and no names.
_KERAS_3_GROUP = "layers"


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

    found: dict[tuple[str, str], np.ndarray] = {}
    with h5py.File(path, "r") as file:
        group = file.get(_WEIGHTS_GROUP, file)
        if _KERAS_3_GROUP in group:
            raise WeightsError(
                f"{path}: is in Keras 3's form. Remedy: load it there and save it with model.save('FILE.h5')"
            )
        for layer in group:

            def keep(name: str, item: Any, layer: str = layer) -> None:
                if isinstance(item, h5py.Dataset):
                    found[layer, name.rsplit("/", 1)[-1].removesuffix(":0")] = item[()]

            if isinstance(group[layer], h5py.Group):
                group[layer].visititems(keep)
    kinds: dict[str, list[str]] = {}
    for layer in sorted({layer for layer, _ in found}, key=_number):
        kinds.setdefault(_kind(layer), []).append(layer)
    return {
        f"{_kind(layer)}.{kinds[_kind(layer)].index(layer)}.{weight}": value
        for (layer, weight), value in found.items()
    }


def _kind(layer: str) -> str:
    return re.sub(r"_\d+$", "", layer)


def _number(layer: str) -> int:
    """Keras's number of the layer; the first of a kind may have none."""
    number = re.search(r"_(\d+)$", layer)
    return int(number[1]) if number else 0
