"""The pickle inside a PyTorch file, read without Python's unpickler and without running any code in it.

A pickle is a program for a small stack machine. Python's machine calls whatever the program names and lets it change
the objects it has made. The machine here knows only the operations that torch.save writes. It makes plain containers,
and a `TensorPlan` for each tensor, and calls nothing: names are only looked up in the tables below.
"""

from __future__ import annotations

import dataclasses
import io
import mmap
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief
from fakedetect_jax.weights.tensor_plan import StoragePlan, TensorPlan
from fakedetect_jax.weights.torch_names import (
    DEFAULT_DICT,
    DTYPES,
    HARMLESS,
    KNOWN,
    ORDERED_DICT,
    PARAMETERS,
    SUBCLASS,
    TENSORS,
)

REMEDY = (
    "if you trust the file, load it with PyTorch and save only its state_dict() with torch.save, "
    "or as safetensors"
)

# A thousand times what a large network with its optimiser takes; each operation may make an object.
_MOST_OPERATIONS = 10_000_000
# The operations of pickletools.opcodes, grouped by what they do here.
_VALUES = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": list}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
_GETS = {"GET", "BINGET", "LONG_BINGET"}
_NOTHING = {"PROTO", "FRAME"}


@dataclasses.dataclass(frozen=True, slots=True)
class _Name:
    """A name from the tables, as it lies on the stack."""

    module: str
    name: str

    @property
    def place(self) -> tuple[str, str]:
        return self.module, self.name


class _Ignored:
    """The placeholder for what a harmless name makes; what a pickle puts into it is dropped."""

    __slots__ = ()


class TensorPickle:
    """A reader of pickles into plain containers and `TensorPlan`s; `storages` holds the storages that they name."""

    def __init__(self, path: Path) -> None:
        self.storages: dict[str, StoragePlan] = {}
        self._path = path
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._operations: dict[str, Callable[[], Any]] = {
            "APPEND": lambda: self._extend([self._stack.pop()]),
            "APPENDS": lambda: self._extend(self._since_mark()),
            "ADDITEMS": lambda: self._extend(self._since_mark()),
            "SETITEM": lambda: self._set(self._last(2)),
            "SETITEMS": lambda: self._set(self._since_mark()),
            "TUPLE": lambda: self._push(tuple(self._since_mark())),
            "LIST": lambda: self._push(self._since_mark()),
            "FROZENSET": lambda: self._push(self._since_mark()),
            "DICT": self._dict,
            "MARK": lambda: self._marks.append(len(self._stack)),
            "POP": lambda: self._last(1),
            "POP_MARK": self._since_mark,
            "DUP": lambda: self._push(self._stack[-1]),
            "MEMOIZE": lambda: self._memo.update({len(self._memo): self._stack[-1]}),
            "STACK_GLOBAL": lambda: self._name(*self._last(2)),
            "REDUCE": lambda: self._make(*self._last(2)),
            "NEWOBJ": lambda: self._make(*self._last(2)),
            "NEWOBJ_EX": lambda: self._make(*self._last(3)[:2]),
            "BUILD": lambda: self._build(self._stack.pop()),
            "BINPERSID": lambda: self._push(self._storage(self._stack.pop())),
        }

    def load(self, stream: io.BufferedIOBase | mmap.mmap) -> Any:
        """Read the next pickle of the stream; raise WeightsError for anything but plain data and tensors."""
        self._stack, self._marks, self._memo = [], [], {}
        for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
            if count == _MOST_OPERATIONS:
                raise self._refusal(f"has more than {count:,} operations before its end")
            self._do(operation.name, argument)
        return self._last(1)[0]

    def _do(self, operation: str, argument: Any) -> None:
        if operation in _VALUES:
            self._push(argument)
        elif operation in _CONSTANTS:
            self._push(_CONSTANTS[operation])
        elif operation in _EMPTY:
            self._push(_EMPTY[operation]())
        elif operation in _SHORT_TUPLES:
            self._push(tuple(self._last(_SHORT_TUPLES[operation])))
        elif operation in _PUTS:
            self._memo[argument] = self._stack[-1]
        elif operation in _GETS:
            self._push(self._memo[argument])
        elif operation == "GLOBAL":
            self._name(*argument.split(" ", 1))
        elif operation in self._operations:
            self._operations[operation]()
        elif operation not in _NOTHING and operation != "STOP":
            raise self._refusal(f"uses the pickle operation {operation}, which torch.save does not")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise self._refusal("is a broken pickle: its stack runs empty")
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is _Ignored:
            return
        if type(target) is not list:
            raise self._refusal(f"appends to a {_kind(target)}")
        target.extend(values)

    def _dict(self) -> None:
        values = self._since_mark()
        self._push({})
        self._set(values)

    def _set(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is _Ignored:
            return
        if type(target) is not dict:
            raise self._refusal(f"sets an item of a {_kind(target)}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Hashing a deeply nested key would overflow the process's stack.
            if isinstance(key, list | dict) or (type(key) is tuple and any(map(_is_container, key))):
                raise self._refusal(f"uses a {_kind(key)} of containers as a key")
            target[key] = value

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise self._refusal(f"names something with a {_kind(module)} and a {_kind(name)}, not two texts")
        if (module, name) not in KNOWN:
            what = f"{brief(module)}.{brief(name)}"
            raise self._refusal(f"holds {what}, which is code, not a tensor; none of it was run")
        self._push(_Name(module, name))

    def _make(self, name: Any, arguments: Any) -> None:
        place = name.place if type(name) is _Name else None
        if type(arguments) is not tuple:
            raise self._refusal(f"calls something with a {_kind(arguments)}, not a tuple")
        if place in HARMLESS:
            self._push(_Ignored())
        elif place == DEFAULT_DICT:
            self._push({})
        elif place == ORDERED_DICT:
            self._push({})
            # Python 2 passes all pairs here instead of one by one.
            for pair in arguments[0] if arguments else ():
                self._set(list(pair) if type(pair) is list and len(pair) == 2 else [None])
        elif place in TENSORS and len(arguments) >= 4:
            self._push(TensorPlan(*arguments[:4]))
        elif place in PARAMETERS and arguments:
            self._push(arguments[0])
        elif place == SUBCLASS and len(arguments) >= 3 and _makes_tensor(arguments[0]):
            self._make(arguments[0], arguments[2])
        else:
            raise self._refusal(f"calls a {_kind(name)} that makes no tensor from {len(arguments)} arguments")

    def _build(self, _: Any) -> None:
        """Drop the attributes of a dict (where torch notes versions) and of an ignored object; refuse any others."""
        target = self._stack[-1]
        if type(target) not in (dict, _Ignored):
            raise self._refusal(f"changes a {_kind(target)} after making it (pickle operation BUILD)")

    def _storage(self, pid: Any) -> StoragePlan:
        kind, dtype, key, _, count, *view = pid if type(pid) is tuple and len(pid) >= 5 else (None,) * 5
        stored = DTYPES.get(dtype.name) if type(dtype) is _Name and dtype.module == "torch" else None
        if type(kind) is not str or kind != "storage" or stored is None or type(key) is not str:
            raise self._refusal(f"refers to a {_kind(kind)} of unknown form")
        if len(view) > 1 or any(part is not None for part in view):
            raise self._refusal("refers to part of a storage, which only very old PyTorch writes")
        if type(count) is not int:
            raise self._refusal(f"has a storage whose length is a {_kind(count)}, not a whole number")
        plan = self.storages.setdefault(key, StoragePlan(key, stored, count))
        if (plan.dtype, plan.count) != (stored, count):
            raise self._refusal(f"gives storage {brief(key)} two types or two lengths")
        return plan

    def _refusal(self, what: str) -> WeightsError:
        return WeightsError(f"{self._path}: {what}. Remedy: {REMEDY}")


def _makes_tensor(name: Any) -> bool:
    return type(name) is _Name and name.place in TENSORS


def _is_container(value: Any) -> bool:
    return isinstance(value, tuple | list | dict)


def _kind(value: Any) -> str:
    """Name the kind of a value for a message, never the value itself, which may be nested without end."""
    return {TensorPlan: "tensor", StoragePlan: "storage", _Name: "name"}.get(
        type(value), type(value).__name__
    )
