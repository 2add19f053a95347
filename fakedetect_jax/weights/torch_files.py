"""PyTorch's two file formats, read without PyTorch: the zip, and the legacy format from before version 1.6."""

from __future__ import annotations

import contextlib
import io
import mmap
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.weights import foreign_formats
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief, check_total
from fakedetect_jax.weights.tensor_plan import StoragePlan, TensorPlan, byte_size, fault, take
from fakedetect_jax.weights.torch_pickle import REMEDY, TensorPickle

# The first pickle of the legacy format.
_MAGIC = 0x1950A86A20F9469CFC6C
_COUNT_BYTES = 8

_ANEW = "Remedy: copy or download the file again"

ReadStorage = Callable[[StoragePlan], bytes]


class TorchFile:
    """An open file: `tree` is the saved object with plans in place of tensors; `tensors` reads some of them."""

    def __init__(self, path: Path, tree: Any, read: ReadStorage) -> None:
        self.path, self.tree = path, tree
        self._read = read

    def tensors(self, plans: Mapping[str, TensorPlan]) -> dict[str, np.ndarray]:
        """Read the planned tensors by name, in their own dtypes.

        Raises:
            WeightsError: the file does not hold what a plan says, or the plans ask for far more than it holds.
        """
        for name, plan in plans.items():
            if trouble := fault(plan):
                raise WeightsError(f"{self.path}: {brief(name)} is not a valid tensor: {trouble}. {_ANEW}")
        check_total(self.path, map(byte_size, plans.values()))
        storages = {plan.storage.key: plan.storage for plan in plans.values()}
        check_total(self.path, (storage.count * storage.dtype.itemsize for storage in storages.values()))
        data = {key: self._read(storage) for key, storage in storages.items()}
        return {name: take(plan, data[plan.storage.key]) for name, plan in plans.items()}


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[TorchFile]:
    """Open a file written by torch.save of version 1.6 or later."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        found = [name for name in names if name.endswith("/data.pkl")]
        if len(found) != 1 or any("/code/" in name for name in names):
            raise WeightsError(foreign_formats.explain_zip(path, names))
        folder = found[0].removesuffix("data.pkl")
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise WeightsError(
                f"{path}: its entries are compressed, unlike PyTorch's. Remedy: use the file as torch.save wrote it"
            )
        if folder + "byteorder" in names and archive.read(folder + "byteorder") != b"little":
            raise WeightsError(f"{path}: was saved on a big-endian machine. Remedy: {REMEDY}")
        tree = TensorPickle(path).load(io.BytesIO(archive.read(found[0])))

        def read(storage: StoragePlan) -> bytes:
            entry = archive.getinfo(f"{folder}data/{storage.key}")
            if entry.file_size != storage.count * storage.dtype.itemsize:
                raise WeightsError(
                    f"{path}: {brief(entry.filename)} has {entry.file_size} bytes, not {storage.count} "
                    f"numbers of {storage.dtype}. {_ANEW}"
                )
            return archive.read(entry)

        yield TorchFile(path, tree, read)


@contextlib.contextmanager
def open_legacy(path: Path) -> Iterator[TorchFile]:
    """Open a file in the format of torch.save before version 1.6, which later versions write on request."""
    # Memory-mapped, so that a made-up length in the file does not allocate that much memory.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        magic, _, system = (TensorPickle(path).load(stream) for _ in range(3))
        if magic != _MAGIC:
            raise WeightsError(f"{path}: is a pickle, but not one that torch.save wrote. Remedy: {REMEDY}")
        if not system.get("little_endian", True):
            raise WeightsError(f"{path}: was saved on a big-endian machine. Remedy: {REMEDY}")
        reader = TensorPickle(path)
        tree = reader.load(stream)
        keys = TensorPickle(path).load(stream)
        starts = _storage_starts(stream, path, keys, reader.storages)

        def read(storage: StoragePlan) -> bytes:
            start = starts[storage.key]
            return stream[start : start + storage.count * storage.dtype.itemsize]

        yield TorchFile(path, tree, read)


def _storage_starts(
    stream: mmap.mmap, path: Path, keys: Any, storages: dict[str, StoragePlan]
) -> dict[str, int]:
    """Return the byte offset of each storage's data; storages follow one another, each preceded by its count."""
    starts, size = {}, len(stream)
    if type(keys) is not list or any(type(key) is not str or key not in storages for key in keys):
        raise WeightsError(f"{path}: its list of storages does not match its tensors. {_ANEW}")
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        starts[key] = stream.tell()
        end = starts[key] + count * storage.dtype.itemsize
        if count != storage.count or end > size:
            raise WeightsError(
                f"{path}: is truncated or damaged within its data ({end} of {size} bytes). {_ANEW}"
            )
        stream.seek(end)
    return starts
