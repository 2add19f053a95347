"""Weights of elsewhere: PyTorch's files of either format, safetensors, Keras's HDF5."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import safetensors.numpy

from fakedetect_jax.weights import WeightsError, read_tensors
from fakedetect_jax.weights.limits import MOST_TIMES
from fakedetect_jax.weights.reading import read_matching
from tests.fuzz.byte_mutations import damage
from tests.fuzz.json_mutations import damage_json
from tests.fuzz.target import Case, Target, Wrong
from tests.weights import torch_bytes as raw

_NAMES = ("conv.weight", "conv.bias", "norm.weight", "head.weight")
_CALLS = (
    *(
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("builtins", "open"),
    ),
    *(
        ("subprocess", "check_output"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("runpy", "run_path"),
    ),
    *(("collections", "OrderedDict"), ("torch._utils", "_rebuild_tensor_v2"), ("torch", "FloatStorage")),
)
_OPCODES = (
    *(
        b"(",
        b"t",
        b"R",
        b"b",
        b".",
        b"N",
        b"}",
        b"]",
        b"s",
        b"e",
        b"Q",
        b"u",
        b"a",
        b"0",
        b"2",
        b"1",
        b"l",
        b"d",
        b"o",
    ),
    *(
        b"\x81",
        b"\x85",
        b"\x86",
        b"\x87",
        b"\x88",
        b"\x89",
        b"\x8f",
        b"\x90",
        b"\x92",
        b"\x93",
        b"\x94",
        b"h\x00",
    ),
    *(
        b"q\x00",
        b"j\xff\xff\xff\xff",
        b"r\xff\xff\xff\x7f",
        b"K\x01",
        b"J\xff\xff\xff\x7f",
        b"X\x01\0\0\0a",
        b"P0\n",
    ),
    *(
        b"\x8c\x01a",
        b"B\xff\xff\xff\x7f",
        b"\x8e" + b"\xff" * 8,
        b"\x8b\xff\xff\xff\x7f",
        b"\x82\x01",
        b"\x95" + b"\xff" * 8,
    ),
)


class Weights(Target):
    """Tensors come out, no larger than the file allows, and no code runs; or the message names the file."""

    errors = (WeightsError,)
    memory = 256 << 20

    def prepare(self) -> None:
        import h5py
        import torch

        rng = np.random.default_rng(0)
        arrays = {name: rng.normal(size=(4, 3)).astype(np.float32) for name in _NAMES}
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        saved = {
            "epoch": 3,
            "state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()},
            "lr": 0.1,
        }
        torch.save(tensors, self.corpus / "plain.pth")
        torch.save(saved, self.corpus / "training.pth")
        torch.save(saved, self.corpus / "legacy.pth", _use_new_zipfile_serialization=False)
        torch.save(
            {"a": tensors["conv.weight"].half().T, "b": tensors["conv.weight"]}, self.corpus / "views.pth"
        )
        safetensors.numpy.save_file(arrays, self.corpus / "plain.safetensors", metadata={"a": "b"})
        with h5py.File(self.corpus / "keras.h5", "w") as file:
            for number, array in enumerate(arrays.values()):
                file[f"dense_{number}/dense_{number}/kernel:0"] = array

    def load(self) -> None:
        self._data = {path.name: path.read_bytes() for path in sorted(self.corpus.iterdir()) if path.suffix}

    def case(self, rng: random.Random, folder: Path) -> Case:
        names = [name for name in self._data if name != "keras.h5"]
        # Another process reads HDF5, which takes its time.
        name = "keras.h5" if rng.random() < 0.05 else rng.choice(names)
        data, how = self._data[name], rng.random()
        if how < 0.4:
            data = damage(rng, data, list(self._data.values()))
        elif name.endswith(".safetensors"):
            data = _with_header(rng, data)
        elif data.startswith(b"PK"):
            data = _with_pickle(rng, data)
        else:
            data = damage(rng, data)
        path = folder / name
        path.write_bytes(data)
        matching = rng.random() < 0.4

        def use() -> None:
            tensors = read_matching(path, _NAMES).tensors if matching else read_tensors(path)
            _check(tensors, len(data))

        return Case(use, (name,))


def _check(tensors: dict[str, np.ndarray], size: int) -> None:
    total = 0
    for name, tensor in tensors.items():
        if not isinstance(tensor, np.ndarray) or tensor.dtype == object or not name.isprintable():
            raise Wrong(f"{name[:80]!r} is {type(tensor)}")
        total += tensor.nbytes
    if total > MOST_TIMES * size + 1024:
        raise Wrong(f"{total} bytes of tensors from a file of {size}")


def _with_header(rng: random.Random, data: bytes) -> bytes:
    """Damage the values in the header of a safetensors file."""
    size = struct.unpack("<Q", data[:8])[0]
    header = damage_json(rng, data[8 : 8 + size].decode())
    stated = len(header) if rng.random() < 0.9 else rng.choice((0, 1, 1 << 20, 1 << 40, 2**64 - 1))
    return struct.pack("<Q", stated) + header + data[8 + size :]


def _with_pickle(rng: random.Random, data: bytes) -> bytes:
    """Damage the parts of a PyTorch file, in an archive whose checksums are right; its calls would make a file."""
    out = io.BytesIO()
    part = rng.choice(("pickle", "pickle", "pickle", "any"))
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl") and part == "pickle":
                content = _damaged_pickle(rng, content)
            elif name == chosen and part == "any":
                content = damage(rng, content)
            new.writestr(name, content, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
            if rng.random() < 0.02:
                new.writestr(json.dumps(name)[:20], content)
    return out.getvalue()


def _damaged_pickle(rng: random.Random, content: bytes) -> bytes:
    call = raw.name(*rng.choice(_CALLS)) + raw.MARK + raw.text("touch ran") + raw.TUPLE + raw.REDUCE
    match rng.randrange(4):
        case 0:
            return damage(rng, content)
        case 1:  # a call somewhere in a sound file
            place = rng.randrange(2, len(content))
            return content[:place] + call + content[place:]
        case 2:  # tensors with any numbers
            numbers = [rng.choice((0, 1, 2, -1, 2**31, 2**62, 2**70)) for _ in range(6)]
            tensor = raw.tensor(
                raw.storage(count=numbers[0]), numbers[1], tuple(numbers[2:4]), tuple(numbers[4:6])
            )
            return raw.START + raw.mapping(a=tensor) + raw.STOP
        case _:
            parts = [rng.choice((*_OPCODES, call, raw.tensor())) for _ in range(rng.randint(1, 30))]
            return raw.START + b"".join(parts) + raw.STOP
