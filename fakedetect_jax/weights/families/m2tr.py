"""M2TR: the authors' checkpoints, which hold the weights under 'model_state'.

Their EfficientNet uses efficientnet-pytorch's names after 'model.', and their classifier has two logits.
"""

from __future__ import annotations

import numpy as np

from fakedetect_jax.weights.families.efficientnet import efficientnet_pytorch, fake_minus_real
from fakedetect_jax.weights.naming import Entry, Family, Paths, Table

_TRUNK = "trunk/"


def authors(paths: Paths) -> Table:
    """Map the repository wdrink/M2TR-Multi-modal-Multi-scale-Transformers-for-Deepfake-Detection."""
    inner = frozenset(path.removeprefix(_TRUNK) for path in paths if path.startswith(_TRUNK))
    table: Table = {
        f"{_TRUNK}{ours}": f"model.{theirs}" for ours, theirs in efficientnet_pytorch(inner).items()
    }
    for number in range(_layers(paths)):
        ours, theirs = f"layer{number}", f"layers.{number}"
        for index, part in enumerate(("query", "key", "value"), start=1):
            table[f"{ours}/patches/{part}"] = f"{theirs}.0.t.attention.{part}_embedding"
            table[f"{ours}/cross/{part}"] = f"{theirs}.2.conv{index}"
        table |= _conv_norm_leaky(f"{ours}/patches/output", f"{theirs}.0.t.attention.output_linear")
        table |= _conv_norm_leaky(f"{ours}/cross/output", f"{theirs}.2.conv4")
        table |= _feed_forward(f"{ours}/patches", f"{theirs}.0.t")
        table |= _feed_forward(f"{ours}/frequency", f"{theirs}.1")
        table[f"{ours}/frequency/weight"] = Entry(f"{theirs}.1.filter.complex_weight", spectral_layout)
    return table | {
        "head/logit/kernel": Entry("classifier.projection.weight", fake_minus_real),
        "head/logit/bias": Entry("classifier.projection.bias", fake_minus_real),
    }


def _feed_forward(ours: str, theirs: str) -> Table:
    dilated = _conv_norm_leaky(f"{ours}/feed_forward/dilated", f"{theirs}.feed_forward.conv")
    return dilated | _conv_norm_leaky(f"{ours}/feed_forward/plain", f"{theirs}.feed_forward.conv", first=3)


def _conv_norm_leaky(ours: str, theirs: str, first: int = 0) -> Table:
    return {f"{ours}/conv": f"{theirs}.{first}", f"{ours}/norm": f"{theirs}.{first + 1}"}


def _layers(paths: Paths) -> int:
    return sum(path.startswith("layer") and path.endswith("patches/query/kernel") for path in paths)


def spectral_layout(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Transpose [h, w / 2 + 1, channels, 2] to [channels, w / 2 + 1, h, 2]."""
    return array.transpose(2, 1, 0, 3) if array.ndim == 4 else array


AUTHORS = Family(
    authors,
    dropped=r"model\._fc\..*|decoder\..*",
    note="made for frames of 320 px; the authors give a frame two logits and take the sigmoid of each, while here one "
    "logit is the difference of the two",
)
