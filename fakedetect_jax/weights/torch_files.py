"""PyTorch's two file formats, the zip of today and the one before version 1.6, read without PyTorch."""

from __future__ import annotations

import contextlib
import io
import mmap
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief, check_total
from fakedetect_jax.weights.tensor_plan import StoragePlan, TensorPlan, byte_size, fault, take
from fakedetect_jax.weights.torch_pickle import REMEDY, TensorPickle

# The first pickle of the old format.
_MAGIC = 0x1950A86A20F9469CFC6C
_COUNT_BYTES = 8

_ANEW = "Remedy: copy or download the file anew"

ReadStorage = Callable[[StoragePlan], bytes]


class TorchFile:
    """An open file: `tree` is what was saved, with plans for tensors, and `tensors` reads some of them."""

    def __init__(self, path: Path, tree: Any, read: ReadStorage) -> None:
        self.path, self.tree = path, tree
        self._read = read

    def tensors(self, plans: Mapping[str, TensorPlan]) -> dict[str, np.ndarray]:
        """The tensors by name in their own dtypes.

        Raises:
          WeightsError: the file does not hold what a plan says, or far more is asked for than it holds.
        """
        for name, plan in plans.items():
            if trouble := fault(plan):
                raise WeightsError(f"{self.path}: {brief(name)} is no sound tensor, {trouble}. {_ANEW}")
        check_total(self.path, map(byte_size, plans.values()))
        storages = {plan.storage.key: plan.storage for plan in plans.values()}
        check_total(self.path, (storage.count * storage.dtype.itemsize for storage in storages.values()))
        data = {key: self._read(storage) for key, storage in storages.items()}
        return {name: take(plan, data[plan.storage.key]) for name, plan in plans.items()}


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[TorchFile]:
    """Open a file that torch.save wrote from version 1.6 on."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        found = [name for name in names if name.endswith("/data.pkl")]
        if len(found) != 1:
            raise WeightsError(
                f"{path}: is a zip file without PyTorch's data.pkl. Remedy: give the .pth itself"
            )
        folder = found[0].removesuffix("data.pkl")
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise WeightsError(
                f"{path}: its entries are compressed, as PyTorch never does. Remedy: the file as torch.save wrote it"
            )
        if folder + "byteorder" in names and archive.read(folder + "byteorder") != b"little":
            raise WeightsError(f"{path}: was saved on a big-endian machine. Remedy: {REMEDY}")
        tree = TensorPickle(path).load(io.BytesIO(archive.read(found[0])))

        def read(storage: StoragePlan) -> bytes:
            entry = archive.getinfo(f"{folder}data/{storage.key}")
            if entry.file_size != storage.count * storage.dtype.itemsize:
                raise WeightsError(
                    f"{path}: {brief(entry.filename)} has {entry.file_size} bytes and not {storage.count} "
                    f"numbers of {storage.dtype}. {_ANEW}"
                )
            return archive.read(entry)

        yield TorchFile(path, tree, read)


@contextlib.contextmanager
def open_legacy(path: Path) -> Iterator[TorchFile]:
    """Open a file that torch.save wrote before version 1.6, or since then when told to."""
    # Mapped, because reading a length that the file makes up must not ask for as much memory.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        magic, _, system = (TensorPickle(path).load(stream) for _ in range(3))
        if magic != _MAGIC:
            raise WeightsError(f"{path}: is a pickle, but not one that torch.save wrote. Remedy: {REMEDY}")
        if not system.get("little_endian", True):
            raise WeightsError(f"{path}: was saved on a big-endian machine. Remedy: {REMEDY}")
        pickle = TensorPickle(path)
        tree = pickle.load(stream)
        keys = TensorPickle(path).load(stream)
        starts = _storage_starts(stream, path, keys, pickle.storages)

        def read(storage: StoragePlan) -> bytes:
            start = starts[storage.key]
            return stream[start : start + storage.count * storage.dtype.itemsize]

        yield TorchFile(path, tree, read)


def _storage_starts(
    stream: mmap.mmap, path: Path, keys: Any, storages: dict[str, StoragePlan]
) -> dict[str, int]:
    """Where the numbers of each storage begin; they lie one behind the other, each behind its count."""
    starts, size = {}, len(stream)
    if type(keys) is not list or any(type(key) is not str or key not in storages for key in keys):
        raise WeightsError(f"{path}: its list of storages is not that of its tensors. {_ANEW}")
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        starts[key] = stream.tell()
        end = starts[key] + count * storage.dtype.itemsize
        if count != storage.count or end > size:
            raise WeightsError(f"{path}: ends or breaks within its numbers ({end} of {size} bytes). {_ANEW}")
        stream.seek(end)
    return starts
