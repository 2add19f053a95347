"""Face-forgery detection in video, measured on forgeries that training never saw.

The names below are what a library user needs first; each is imported when it is first used, so that
`import fakedetect_jax` itself takes no time:

    load_detector     read an exported detector, to score videos
    extract_faces     find, follow and crop the faces of a video
    self_blend        make a fake of a real clip, on the device
    SelfBlendRecipe   its options
    create_model      make a Flax model by name
    list_models       the names
    metrics           AUC, average precision, equal error rate, ... with weights
    train             train by a config
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakedetect_jax.augment import SelfBlendRecipe, self_blend
    from fakedetect_jax.deployment.inference import load_detector
    from fakedetect_jax.evaluation import metrics
    from fakedetect_jax.experiment import train
    from fakedetect_jax.faces import extract_faces
    from fakedetect_jax.models import create as create_model
    from fakedetect_jax.models import list_models

__version__ = "0.1.0"

# name: (module, what it is called there; "" for the module itself)
_EXPORTS = {
    "SelfBlendRecipe": ("fakedetect_jax.augment", "SelfBlendRecipe"),
    "create_model": ("fakedetect_jax.models", "create"),
    "extract_faces": ("fakedetect_jax.faces", "extract_faces"),
    "list_models": ("fakedetect_jax.models", "list_models"),
    "load_detector": ("fakedetect_jax.deployment.inference", "load_detector"),
    "metrics": ("fakedetect_jax.evaluation.metrics", ""),
    "self_blend": ("fakedetect_jax.augment", "self_blend"),
    "train": ("fakedetect_jax.experiment", "train"),
}

__all__ = [
    "SelfBlendRecipe",
    "create_model",
    "extract_faces",
    "list_models",
    "load_detector",
    "metrics",
    "self_blend",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` when it is first used (PEP 562)."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, attribute = _EXPORTS[name]
    module = importlib.import_module(home)
    value = getattr(module, attribute) if attribute else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
