"""Where a pickle claims that a tensor lies in a PyTorch file, and whether the claim can be true."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from fakedetect_jax.weights.limits import brief

_MOST_AXES = 32
_LARGEST = 1 << 62
# An expanded tensor repeats the numbers of its storage; a larger one is a small file's way to fill the memory.
_MOST_EXPANDED = 1 << 20


# Compared and hashed by identity: fields may be nested deeper than the process's stack allows.
@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class StoragePlan:
    """A run of numbers in the file: its key, their dtype, and their count."""

    key: str
    dtype: np.dtype
    count: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class TensorPlan:
    """A tensor as a view of a storage, in elements; not yet checked or read."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


def fault(plan: TensorPlan) -> str | None:
    """Return why the plan is not a view of its storage, or None if all its elements lie within the storage."""
    storage, shape, strides = plan.storage, plan.shape, plan.strides
    if type(storage) is not StoragePlan or not isinstance(storage.dtype, np.dtype):
        return "its storage is not a storage"
    if type(shape) is not tuple or type(strides) is not tuple:
        return "a size is not a whole number"
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        return "its shape and strides do not match"
    if not all(
        type(number) is int and 0 <= number < _LARGEST
        for number in (storage.count, plan.offset, *shape, *strides)
    ):
        return "a size is not a whole number"
    if 0 in shape:
        return None
    last = plan.offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if last >= storage.count or math.prod(shape) > max(storage.count, _MOST_EXPANDED):
        return f"its shape {brief(shape)} does not fit into its {storage.count} numbers"
    return None


def byte_size(plan: TensorPlan) -> int:
    """Return the bytes of the tensor; the plan must have no fault."""
    return math.prod(plan.shape) * plan.storage.dtype.itemsize


def take(plan: TensorPlan, data: bytes) -> np.ndarray:
    """Copy the tensor from the bytes of its storage.

    It makes no strided view: NumPy checks slices and indices, so they cannot reach beyond the storage.

    Raises:
        ValueError: the plan has a fault, or `data` is not its whole storage.
    """
    trouble = fault(plan)
    numbers = np.frombuffer(data, plan.storage.dtype)
    if trouble or len(numbers) != plan.storage.count:
        raise ValueError(trouble or f"the data has {len(numbers)} numbers, the storage {plan.storage.count}")
    size = math.prod(plan.shape)
    if size == 0 or _is_run(plan):
        return numbers[plan.offset : plan.offset + size].reshape(plan.shape).copy()
    places = np.asarray(plan.offset)
    for axis, (length, step) in enumerate(zip(plan.shape, plan.strides, strict=True)):
        places = places + (np.arange(length) * step).reshape(-1, *(1 for _ in plan.shape[axis + 1 :]))
    return numbers[places]


def _is_run(plan: TensorPlan) -> bool:
    """Return whether the elements are contiguous, as in nearly all saved tensors."""
    expected = 1
    for length, step in zip(reversed(plan.shape), reversed(plan.strides), strict=True):
        if length != 1 and step != expected:
            return False
        expected *= length
    return True
