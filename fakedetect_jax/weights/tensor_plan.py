"""Where a tensor lies in a PyTorch file, as a pickle claims it, and whether that can be."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from fakedetect_jax.weights.limits import brief

_MOST_AXES = 32
_LARGEST = 1 << 62


# Compared and hashed by identity: what is in the fields may be nested deeper than the stack of the process.
@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class StoragePlan:
    """A run of numbers in the file: its key there, their type and how many."""

    key: str
    dtype: np.dtype
    count: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class TensorPlan:
    """A tensor as a view of a storage, in elements; nothing of it is checked or read yet."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


def fault(plan: TensorPlan) -> str | None:
    """What makes the plan no view of its storage, or None. All its elements lie within the storage if it has none."""
    storage, shape, strides = plan.storage, plan.shape, plan.strides
    if type(storage) is not StoragePlan or not isinstance(storage.dtype, np.dtype):
        return "its storage is not one"
    if type(shape) is not tuple or type(strides) is not tuple:
        return "a size is not a whole number"
    if len(shape) != len(strides) or len(shape) > _MOST_AXES:
        return "shape and strides do not fit each other"
    if not all(
        type(number) is int and 0 <= number < _LARGEST
        for number in (storage.count, plan.offset, *shape, *strides)
    ):
        return "a size is not a whole number"
    if 0 in shape:
        return None
    last = plan.offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if last >= storage.count or math.prod(shape) > storage.count:
        return f"shape {brief(shape)} does not fit into its {storage.count} numbers"
    return None


def byte_size(plan: TensorPlan) -> int:
    """Bytes of the tensor; only for a plan without fault."""
    return math.prod(plan.shape) * plan.storage.dtype.itemsize


def take(plan: TensorPlan, data: bytes) -> np.ndarray:
    """The tensor, copied from the bytes of its storage.

    No view by strides is made: slices and indices, which NumPy checks, cannot reach beyond the storage.

    Raises:
        ValueError: the plan has a fault, or `data` is not all of its storage.
    """
    trouble = fault(plan)
    numbers = np.frombuffer(data, plan.storage.dtype)
    if trouble or len(numbers) != plan.storage.count:
        raise ValueError(trouble or f"{len(numbers)} numbers are not the storage's {plan.storage.count}")
    size = math.prod(plan.shape)
    if size == 0 or _is_run(plan):
        return numbers[plan.offset : plan.offset + size].reshape(plan.shape).copy()
    places = np.asarray(plan.offset)
    for axis, (length, step) in enumerate(zip(plan.shape, plan.strides, strict=True)):
        places = places + (np.arange(length) * step).reshape(-1, *(1 for _ in plan.shape[axis + 1 :]))
    return numbers[places]


def _is_run(plan: TensorPlan) -> bool:
    """Whether the elements lie one behind the other, as those of nearly all saved tensors do."""
    expected = 1
    for length, step in zip(reversed(plan.shape), reversed(plan.strides), strict=True):
        if length != 1 and step != expected:
            return False
        expected *= length
    return True
