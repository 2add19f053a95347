"""The pickle inside a PyTorch file, read without running any code that is in it.

A pickle may name any function and have it called. The reader here gives it stand-ins for the few names that describe
tensors and refuses every other. The stand-ins only write down where a tensor lies (`TensorPlan`); what they wrote is
checked before a byte of it is read, because a pickle can change what it is given.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from fakedetect_jax.weights.errors import WeightsError

DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
# What training scripts save beside the weights: each becomes an empty object.
HARMLESS = {
    ("argparse", "Namespace"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch", "float32"),
    ("torch", "float16"),
    ("torch", "bfloat16"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
}
REMEDY = (
    "where you trust the file, load it with PyTorch and save its state_dict() alone with torch.save, "
    "or as safetensors"
)


@dataclasses.dataclass
class StoragePlan:
    """A run of numbers in the file: its key there, their type and how many."""

    key: Any
    dtype: Any
    count: Any


@dataclasses.dataclass
class TensorPlan:
    """A tensor as a view of a storage, in elements; nothing of it is checked or read yet."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any

    def fault(self) -> str | None:
        """What makes it no view of its storage, or None."""
        storage = self.storage
        if not isinstance(storage, StoragePlan) or not isinstance(storage.dtype, np.dtype):
            return "its storage is not one"
        numbers = (storage.count, self.offset, *_tuple(self.shape), *_tuple(self.strides))
        if len(_tuple(self.shape)) != len(_tuple(self.strides)) or len(self.shape) > 32:
            return "shape and strides do not fit each other"
        if not all(type(number) is int and number >= 0 for number in numbers):
            return "a size is not a whole number"
        if 0 in self.shape:
            return None
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if last >= storage.count or math.prod(self.shape) > storage.count:
            return f"shape {self.shape} does not fit into its {storage.count} numbers"
        return None

    def view(self, numbers: np.ndarray) -> np.ndarray:
        """The tensor, copied from its storage's numbers; only for a plan without fault."""
        strides = [step * numbers.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides).copy()


class TensorUnpickler(pickle.Unpickler):
    """Reads one pickle to plain containers with a `TensorPlan` for each tensor."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        super().__init__(stream, encoding="utf-8")
        self._path = path
        self.storages: dict[str, StoragePlan] = {}
        self._stand_ins = _stand_ins()

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name; WeightsError for any that is not on the list."""
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        if (module, name) not in self._stand_ins:
            raise WeightsError(
                f"{self._path}: holds {module}.{name}, which is code and not a tensor; nothing of it was run. "
                f"Remedy: {REMEDY}"
            )
        return self._stand_ins[module, name]

    def persistent_load(self, pid: Any) -> StoragePlan:
        """The storage that the pickle refers to."""
        kind, dtype, key, _, count, *view = pid
        if (
            kind != "storage"
            or not isinstance(dtype, np.dtype)
            or type(key) is not str
            or view not in ([], [None])
        ):
            raise WeightsError(f"{self._path}: refers to a {kind!r} of an unknown form. Remedy: {REMEDY}")
        return self.storages.setdefault(key, StoragePlan(key, dtype, count))


def _stand_ins() -> dict[tuple[str, str], Any]:
    """Made anew for each file, because a pickle can set attributes on what it is given."""

    class Ignored:
        """Takes any arguments and state, and keeps none."""

        def __new__(cls, *_: Any) -> Any:
            return super().__new__(cls)

        def __init__(self, *_: Any) -> None: ...

        def __setstate__(self, _: Any) -> None: ...

    def tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> TensorPlan:
        return TensorPlan(storage, offset, shape, strides)

    def parameter(plan: Any, *_: Any) -> Any:
        return plan

    rebuild: dict[str, Callable] = {
        "_rebuild_tensor": tensor,
        "_rebuild_tensor_v2": tensor,
        "_rebuild_parameter": parameter,
    }
    return {("torch._utils", name): function for name, function in rebuild.items()} | dict.fromkeys(
        HARMLESS, Ignored
    )


def _tuple(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (None,)
