"""Meso4 and MesoInception4: the authors' Keras weights, read by `keras_files.read_keras`.

Their sigmoid is P(real), because their training folders label real as 1. Ours is P(fake), so the last layer's signs
are flipped.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fakedetect_jax.weights.naming import Entry, Family, Paths, Table, as_it_is

_BRANCHES = 4
_NORM = {
    "scale": "gamma",
    "bias": "beta",
    "mean": "moving_mean",
    "var": "moving_variance",
}


def meso4(paths: Paths) -> Table:
    """Map Meso4's layers in the order in which the authors' function makes them."""
    return {f"conv{number}": f"conv2d.{number}" for number in range(4)} | _norms_and_dense()


def meso_inception4(paths: Paths) -> Table:
    """Map MesoInception4's layers likewise; a module makes its branches one by one, each 1x1 convolution first."""
    layers = []
    for module in range(2):
        layers += [f"inception{module}/branch0"]
        for branch in range(1, _BRANCHES):
            layers += [f"inception{module}/branch{branch}_reduce", f"inception{module}/branch{branch}"]
    layers += ["conv2", "conv3"]
    return {layer: f"conv2d.{number}" for number, layer in enumerate(layers)} | _norms_and_dense()


def _norms_and_dense() -> Table:
    norms: Table = {
        f"norm{number}/{ours}": f"batch_normalization.{number}.{theirs}"
        for number in range(4)
        for ours, theirs in _NORM.items()
    }
    return norms | {
        "hidden": "dense.0",
        "head/logit/kernel": Entry("dense.1.kernel", turned),
        "head/logit/bias": Entry("dense.1.bias", turned),
    }


def turned(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Flip the sign, which turns the logit of P(real) into that of P(fake)."""
    return -array


def _family(table: Callable[[Paths], Table]) -> Family:
    return Family(
        table,
        leaves={"kernel": "kernel", "bias": "bias"},
        layout=as_it_is,
        note="made for frames of 256 px with pixels in [0, 1]",
    )


MESO4, MESO_INCEPTION4 = _family(meso4), _family(meso_inception4)
