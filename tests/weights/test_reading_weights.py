"""Files of every kind to tensors; nothing in them is run, and what is broken is refused by name."""

import argparse
import collections
import contextlib
import io
import pickle
import struct
import subprocess
import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.weights import WeightsError, read_matching, read_metadata, read_tensors

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def _save(tree, path, zipped=True):
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    return path


def _tensors():
    base = torch.arange(24, dtype=torch.float32)
    return {
        "whole": base.reshape(4, 6),
        "turned": base.reshape(4, 6).T,
        "part": base.reshape(2, 3, 4)[:, 1:, ::2],
        "expanded": torch.tensor([3.0, 4.0])[:, None].expand(2, 40),
        "complex": torch.tensor([1 + 2j]),
        "buffer": torch.nn.Buffer(torch.ones(3)),
        "one": torch.tensor(3.5),
        "none": torch.zeros(0, 3),
        "half": torch.tensor([1.5, -2.0], dtype=torch.float16),
        "brain": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
        "double": torch.tensor([1 / 3], dtype=torch.float64),
        "long": torch.tensor([2**40]),
        "byte": torch.tensor([255], dtype=torch.uint8),
        "truth": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
    }


@FORMATS
def test_every_dtype_and_view_is_what_torch_saved(tmp_path, zipped):
    tensors = _tensors()
    read = read_tensors(_save(tensors, tmp_path / "weights.pth", zipped))
    assert list(read) == list(tensors)
    assert read["brain"].dtype == ml_dtypes.bfloat16
    for name, tensor in tensors.items():
        expected = tensor.detach()
        expected = expected.float().numpy().astype("bfloat16") if name == "brain" else expected.numpy()
        assert read[name].dtype == expected.dtype, name
        np.testing.assert_array_equal(read[name], expected)


def test_safetensors_of_torch_read_alike(tmp_path):
    tensors = {name: value.detach().contiguous().clone() for name, value in _tensors().items()}
    del tensors["complex"]  # older versions of safetensors refuse to write it
    safetensors.torch.save_file(tensors, tmp_path / "weights.safetensors", metadata={"format": "pt"})
    read = read_tensors(tmp_path / "weights.safetensors")
    assert {name: (value.dtype.name, value.shape) for name, value in read.items()} == {
        name: (str(value.dtype).removeprefix("torch."), tuple(value.shape)) for name, value in tensors.items()
    }
    np.testing.assert_array_equal(read["turned"], tensors["turned"])
    assert read_metadata(tmp_path / "weights.safetensors") == {"format": "pt"}


@FORMATS
@pytest.mark.parametrize("entry", ["state_dict", "model", "net"])
def test_weights_are_found_within_what_a_training_script_saves(tmp_path, zipped, entry):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    saved = {
        "epoch": 7,
        "best": np.float64(0.93),
        "args": argparse.Namespace(lr=1e-3, size=torch.Size([2])),
        "optimizer": optimizer.state_dict(),
        "history": collections.OrderedDict(loss=[0.7, 0.6]),
        entry: {f"module.net.{name}": value for name, value in model.state_dict().items()},
    }
    path = _save(saved, tmp_path / "weights.tar", zipped)
    found = read_matching(path, model.state_dict())
    assert list(found.tensors) == list(model.state_dict())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(found.tensors[name], value)
    assert found.prefix == f"{entry}.module.net."
    assert {name.split(".")[0] for name in found.beside} == {"optimizer"}
    every = read_tensors(path)
    assert set(every) == {f"{entry}.module.net.{name}" for name in model.state_dict()} | set(found.beside)
    np.testing.assert_array_equal(
        every["optimizer.state.1.exp_avg"], optimizer.state_dict()["state"][1]["exp_avg"]
    )


def test_a_file_without_tensors_is_refused_with_what_it_has(tmp_path):
    with pytest.raises(WeightsError, match=r"no named tensors found; it has the entries epoch, loss"):
        read_tensors(_save({"epoch": 3, "loss": 0.1}, tmp_path / "w.pth"))
    with pytest.raises(WeightsError, match="it has a TensorPlan"):
        read_tensors(_save(torch.ones(2), tmp_path / "w.pth"))


class Malicious:
    """Unpickled as pickle means it, writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').write('run')",))


class StateMalice(Malicious):
    """The same by way of an object's state."""

    def __reduce__(self):
        return (collections.OrderedDict, (), {"x": 1}, None, iter([("a", Malicious(self.path))]))


@FORMATS
@pytest.mark.parametrize("kind", [Malicious, StateMalice])
def test_code_in_a_file_is_refused_by_name_and_not_run(tmp_path, zipped, kind):
    trace = tmp_path / "trace"
    path = _save({"state_dict": {"a": torch.ones(2)}, "extra": kind(trace)}, tmp_path / "w.pth", zipped)
    with pytest.raises(
        WeightsError, match=r"w\.pth: holds (__builtin__|builtins)\.exec, .* none of it was run\. Remedy"
    ):
        read_tensors(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # so it was dangerous


@FORMATS
@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
        (torch.ones(2).to_sparse(), "torch._utils._rebuild_sparse_tensor"),
        (print, r"builtin(s|__)\.print"),
        (getattr, r"builtin(s|__)\.getattr"),
    ],
)
def test_everything_but_tensors_and_plain_data_is_refused(tmp_path, zipped, thing, name):
    with pytest.raises(WeightsError, match=name):
        read_tensors(_save({"a": torch.ones(1), "b": thing}, tmp_path / "w.pth", zipped))


def _zip_with_pickle(path, document, entries):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", document)
        for name, content in entries.items():
            archive.writestr(f"archive/{name}", content)
    return path


class _Global:
    """Pickles as the name of something in another module."""

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __call__(self, *arguments):
        return _Call(self, arguments)


class _Call:
    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments


class _Pickler(pickle._Pickler):
    """Writes calls, names and storages as torch does, whatever their arguments."""

    def persistent_id(self, obj):
        return obj[1:] if isinstance(obj, tuple) and obj[:1] == ("PID",) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, _Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, _Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def _crafted(
    path, *, shape=(2,), strides=(1,), offset=0, count=2, storage="FloatStorage", key="0", data=b"\0" * 8
):
    rebuild = _Global("torch._utils", "_rebuild_tensor_v2")
    pid = ("PID", "storage", _Global("torch", storage), key, "cpu", count)
    stream = io.BytesIO()
    _Pickler(stream, 2).dump({"a": rebuild(pid, offset, shape, strides, False, {})})
    return _zip_with_pickle(path, stream.getvalue(), {"data/0": data})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (3,)}, "does not fit into its 2 numbers"),
        ({"offset": 1}, "does not fit into its 2 numbers"),
        ({"strides": (2,)}, "does not fit into its 2 numbers"),
        ({"shape": (10**12,), "strides": (0,)}, "does not fit into its 2 numbers"),
        ({"offset": -1}, "not a whole number"),
        ({"strides": (-1,)}, "not a whole number"),
        ({"shape": (2.0,)}, "not a whole number"),
        ({"shape": (2, 1)}, "strides do not match"),
        ({"shape": "ab"}, "not a whole number"),
        ({"count": 3, "shape": (3,)}, "has 8 bytes, not 3 numbers"),
        ({"count": "many"}, "not a whole number"),
        ({"storage": "QInt8Storage"}, "torch.QInt8Storage"),
        ({"key": "../0"}, "cannot be read"),
        ({"key": 0}, "of unknown form"),
    ],
)
def test_tensors_beyond_their_storage_are_refused(tmp_path, options, message):
    assert read_tensors(_crafted(tmp_path / "sound.pth"))["a"].tolist() == [0, 0]
    with pytest.raises(WeightsError, match=message):
        read_tensors(_crafted(tmp_path / "w.pth", **options))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    state = torch.nn.Linear(3, 4).state_dict()
    safetensors.torch.save_file(state, folder / "st")
    return {
        "zip": _save(state, folder / "zip").read_bytes(),
        "legacy": _save(state, folder / "legacy", zipped=False).read_bytes(),
        "safetensors": (folder / "st").read_bytes(),
    }


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused(files, tmp_path_factory, kind, part):
    whole = files[kind]
    path = tmp_path_factory.mktemp("cut") / "w.pth"
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(WeightsError, match=r"w\.pth"):
        read_tensors(path)


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(files, tmp_path_factory, kind, place, value):
    damaged = bytearray(files[kind])
    damaged[int(place * len(damaged))] = value
    path = tmp_path_factory.mktemp("damaged") / "w.pth"
    path.write_bytes(bytes(damaged))
    with contextlib.suppress(WeightsError):
        assert all(isinstance(tensor, np.ndarray) for tensor in read_tensors(path).values())


def test_a_safetensors_file_may_begin_like_any_other_kind(tmp_path):
    """It begins with the length of its header, whose bytes here are those of a pickle and of a zip file."""
    path = tmp_path / "w.safetensors"
    for length in (0x0280, 0x4B50):
        header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(length)
        path.write_bytes(struct.pack("<Q", length) + header + struct.pack("<f", 2.5))
        assert read_tensors(path)["a"] == 2.5


def test_other_files_are_refused_with_the_kinds_that_are_known(tmp_path):
    path = tmp_path / "weights.pth"
    for content, message in (
        (b"", "not one of the known file formats"),
        (struct.pack("<Q", 5) + b"{bad}", "cannot be read"),
        (pickle.dumps({"a": 1}, 2) + pickle.dumps(2) + pickle.dumps({}), "not one that torch.save wrote"),
        (pickle.dumps({"a": 1}, 2), "cannot be read"),
    ):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=message):
            read_tensors(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "")
    with pytest.raises(WeightsError, match=r"without PyTorch's data\.pkl"):
        read_tensors(path)
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "nothing.pth")


def test_a_rezipped_or_big_endian_file_is_refused(tmp_path):
    source = _save({"a": torch.ones(2)}, tmp_path / "w.pth")
    for name, compression, order, message in (
        ("zipped", zipfile.ZIP_DEFLATED, b"little", "entries are compressed"),
        ("big", zipfile.ZIP_STORED, b"big", "big-endian"),
    ):
        with zipfile.ZipFile(source) as old, zipfile.ZipFile(tmp_path / name, "w", compression) as new:
            for entry in old.namelist():
                new.writestr(entry, order if entry.endswith("byteorder") else old.read(entry))
        with pytest.raises(WeightsError, match=message):
            read_tensors(tmp_path / name)


def test_only_the_tensors_asked_for_are_read(tmp_path):
    """An optimiser's state, of twice the size of the weights, may even be missing."""
    saved = {"state_dict": {"a": torch.ones(2)}, "optimizer": {"b": torch.ones(1000)}}
    path = _save(saved, tmp_path / "w.pth")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "less.pth", "w") as new:
        for entry in old.infolist():
            if entry.file_size < 4000:
                new.writestr(entry.filename, old.read(entry))
    assert read_matching(tmp_path / "less.pth", ["a"]).tensors["a"].tolist() == [1, 1]


def test_neither_torch_nor_h5py_is_imported_to_read(tmp_path):
    path = _save({"a": torch.ones(2)}, tmp_path / "w.pth")
    program = (
        "import sys; from fakedetect_jax.weights.reading import read_tensors; "
        f"assert read_tensors({str(path)!r})['a'].tolist() == [1, 1]; "
        "assert not {'torch', 'h5py', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
