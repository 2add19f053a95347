"""PyTorch's two file formats, the zip of today and the one before version 1.6, read without PyTorch."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.torch_pickle import REMEDY, StoragePlan, TensorPlan, TensorUnpickler

# The first pickle of the old format.
_MAGIC = 0x1950A86A20F9469CFC6C
_COUNT_BYTES = 8

ReadStorage = Callable[[StoragePlan], np.ndarray]


class TorchFile:
    """An open file: `tree` is what was saved, with plans for tensors, and `tensor` reads one of them."""

    def __init__(self, path: Path, tree: Any, read: ReadStorage) -> None:
        self.path, self.tree = path, tree
        self._read = read
        self._storages: dict[str, np.ndarray] = {}

    def tensor(self, name: str, plan: TensorPlan) -> np.ndarray:
        """The tensor of that name in its own dtype; WeightsError if the file does not hold what the plan says."""
        fault = plan.fault()
        if fault:
            raise WeightsError(f"{self.path}: {name} is no sound tensor, {fault}. {_ANEW}")
        key = plan.storage.key
        if key not in self._storages:
            self._storages[key] = self._read(plan.storage)
        return plan.view(self._storages[key])


_ANEW = "Remedy: copy or download the file anew"


def open_zip(path: Path) -> TorchFile:
    """Open a file that torch.save wrote from version 1.6 on."""
    with zipfile.ZipFile(path) as archive:
        found = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(found) != 1:
            raise WeightsError(
                f"{path}: is a zip file without PyTorch's data.pkl. Remedy: give the .pth itself"
            )
        folder = found[0].removesuffix("data.pkl")
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise WeightsError(
                f"{path}: its entries are compressed, as PyTorch never does. Remedy: the file as torch.save wrote it"
            )
        if folder + "byteorder" in archive.namelist() and archive.read(folder + "byteorder") != b"little":
            raise WeightsError(f"{path}: was saved on a big-endian machine. Remedy: {REMEDY}")
        with archive.open(found[0]) as stream:
            tree = TensorUnpickler(stream, path).load()

    def read(storage: StoragePlan) -> np.ndarray:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{folder}data/{storage.key}")
            if entry.file_size != storage.count * storage.dtype.itemsize:
                raise WeightsError(
                    f"{path}: {entry.filename} has {entry.file_size} bytes and not {storage.count} "
                    f"numbers of {storage.dtype}. {_ANEW}"
                )
            return np.frombuffer(archive.read(entry), storage.dtype)

    return TorchFile(path, tree, read)


def open_legacy(path: Path) -> TorchFile:
    """Open a file that torch.save wrote before version 1.6, or since then when told to."""
    with path.open("rb") as stream:
        magic, _, system = (TensorUnpickler(stream, path).load() for _ in range(3))
        if magic != _MAGIC:
            raise WeightsError(f"{path}: is a pickle, but not one that torch.save wrote. Remedy: {REMEDY}")
        if not system.get("little_endian", True):
            raise WeightsError(f"{path}: was saved on a big-endian machine. Remedy: {REMEDY}")
        unpickler = TensorUnpickler(stream, path)
        tree = unpickler.load()
        keys = TensorUnpickler(stream, path).load()
        starts = _storage_starts(stream, path, keys, unpickler.storages)

    def read(storage: StoragePlan) -> np.ndarray:
        return np.fromfile(path, storage.dtype, storage.count, offset=starts[storage.key])

    return TorchFile(path, tree, read)


def _storage_starts(
    stream: BinaryIO, path: Path, keys: list[str], storages: dict[str, StoragePlan]
) -> dict[str, int]:
    """Where the numbers of each storage begin; they lie one behind the other, each behind its count."""
    starts, size = {}, path.stat().st_size
    for key in keys:
        storage = storages[key]
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        starts[key] = stream.tell()
        end = starts[key] + count * storage.dtype.itemsize
        if count != storage.count or end > size:
            raise WeightsError(f"{path}: ends or breaks within its numbers ({end} of {size} bytes). {_ANEW}")
        stream.seek(end)
    return starts
