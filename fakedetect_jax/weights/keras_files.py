"""Keras's HDF5 weights, by the kind and order of their layers."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy

from fakedetect_jax.weights import hdf5
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import MOST_TIMES, brief

# The group in a Keras 3 .weights.h5, where weights have numbers instead of names.
_KERAS_3_GROUP = "layers"

_REMEDY = "Remedy: if you trust the file, load it with Keras and save it again with model.save('FILE.h5')"
_ANEW = "Remedy: copy or download the file again"


def read_keras(path: Path) -> dict[str, np.ndarray]:
    """Read tensors as `<kind>.<place>.<weight>`: 'conv2d.0.kernel' is the kernel of the first convolution made.

    Places are counted anew because Keras numbers layers of a kind through the life of a process.
    """
    found: dict[tuple[str, str], np.ndarray] = {}
    for name, value in _numbers(path).items():
        layer, _, rest = name.partition("/")
        weight = rest.rsplit("/", 1)[-1].removesuffix(":0")
        if layer == _KERAS_3_GROUP:
            raise WeightsError(
                f"{path}: is in Keras 3's format. Remedy: load it in Keras 3 and save it with model.save('FILE.h5')"
            )
        if (layer, weight) in found:
            raise WeightsError(
                f"{path}: layer {brief(layer)} has several weights named {brief(weight)}. Remedy: save each "
                "nested model on its own"
            )
        found[layer, weight] = value
    kinds: dict[str, list[str]] = {}
    for layer in sorted({layer for layer, _ in found}, key=lambda layer: (_number(layer), layer)):
        kinds.setdefault(_kind(layer), []).append(layer)
    return {
        f"{_kind(layer)}.{kinds[_kind(layer)].index(layer)}.{weight}": value
        for (layer, weight), value in found.items()
    }


def _numbers(path: Path) -> dict[str, np.ndarray]:
    """Read the file's datasets by their path, in a process that may crash or hang without harm to this one."""
    if importlib.util.find_spec("h5py") is None:
        raise WeightsError(
            f"{path}: is an HDF5 file, which needs h5py. Remedy: pip install 'fakedetect_jax[h5]'"
        )
    most = MOST_TIMES * path.stat().st_size
    try:
        done = subprocess.run(
            [sys.executable, "-P", hdf5.__file__, path, str(most)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=hdf5.MOST_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(
            f"{path}: was not read within {hdf5.MOST_SECONDS} s, so it is broken. {_ANEW}"
        ) from error
    if done.returncode == hdf5.REFUSED:
        name, fault = json.loads(done.stdout)
        raise WeightsError(f"{path}: {brief(name)}{' ' if name else ''}{fault}. {_REMEDY}")
    if done.returncode == hdf5.BROKEN:
        kind, message = json.loads(done.stdout)
        raise WeightsError(f"{path}: cannot be read ({kind}: {brief(message)}). {_ANEW}")
    if done.returncode:
        raise WeightsError(f"{path}: is so broken that the HDF5 library ended ({done.returncode}). {_ANEW}")
    return safetensors.numpy.load(done.stdout)


def _kind(layer: str) -> str:
    return re.sub(r"_\d+$", "", layer)


def _number(layer: str) -> int:
    """Return Keras's number of the layer; the first of a kind may have none, and counts as 0."""
    number = re.search(r"_(\d+)$", layer)
    return int(number[1]) if number else 0
