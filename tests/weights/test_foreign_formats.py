"""Files that hold no weights that can be read, and safetensors whose headers lie, are named with the remedy."""

import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from fakedetect_jax.weights import WeightsError, read_matching, read_tensors


def _zip_of(name):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"")
    return stream.getvalue()


def _tar():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("w.pth"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(b"a"), r"is compressed with gzip\. Remedy: gunzip it"),
        (bz2.compress(b"a"), r"is compressed with bzip2\. Remedy: bunzip2 it"),
        (lzma.compress(b"a"), r"is compressed with xz\. Remedy: unxz it"),
        (_tar(), r"is a tar archive\. Remedy: unpack it"),
        (b"\n<!DOCTYPE html><title>Google Drive - Virus scan warning", r"is a web page.*in a browser"),
        (b"<html>not found", r"is a web page"),
        (_zip_of("folder/w.pth"), r"is a zip file without PyTorch's data\.pkl\. Remedy: unpack it"),
        (_zip_of("a.npy"), r"is a file of NumPy's savez"),
        (_zip_of("model.weights.h5"), r"is in Keras 3's format.*model\.save"),
        (_zip_of("w/code/__torch__.py"), r"is a TorchScript program.*torch\.jit\.load"),
    ],
    ids=["gzip", "bzip2", "xz", "tar", "page", "other page", "zip", "npz", "keras", "TorchScript"],
)
def test_other_files_that_people_have_are_named_with_the_remedy(tmp_path, content, message):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=rf"w\.pth: {message}"):
        read_tensors(tmp_path / "w.pth")


def test_types_that_numpy_has_not_are_named_and_harmless_beside_the_weights(tmp_path):
    header = {
        "net.a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [8, 10]},
    }
    text = json.dumps(header).encode()
    data = np.ones(2, np.float32).tobytes() + b"88"
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    assert read_matching(tmp_path / "w.safetensors", ["a"]).tensors["a"].tolist() == [1, 1]
    with pytest.raises(WeightsError, match=r"b has numbers of type F8_E4M3.*save its tensors as float32"):
        read_tensors(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("header", "length"),
    [
        (b'{"a":{"dtype":"F32","shape":[10000000000000],"data_offsets":[0,40000000000000]}}', None),
        (b'{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}', None),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}', None),
        (b'{"a":' + b"[" * 100_000 + b"}", None),
        (b'{"' + b"k" * 1_000_000 + b'":{"dtype":"F32","shape":[1],"data_offsets":[0,9]}}', None),
        (b"{}", (1 << 32) - 1),
        (b"{}", 90_000_000),
    ],
    ids=["size", "overflow", "backwards", "deep", "name", "header", "smaller header"],
)
def test_what_a_safetensors_header_declares_takes_no_memory(tmp_path, header, length):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", length or len(header)) + header)
    tracemalloc.start()
    with pytest.raises(WeightsError, match=r"w\.safetensors: cannot be read") as refused:
        read_tensors(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50_000_000
    assert len(str(refused.value)) < 1000
