"""A safetensors file of ours is a file like any other."""

import os
import resource
import stat

import ml_dtypes
import numpy as np
import pytest
import safetensors
from safetensors import safe_open
from safetensors.numpy import load_file

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import write_tensors, write_text
from fakedetect_jax.weights import own_files

ARRAYS = {
    "turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    "brain": np.array([1.5, -2], ml_dtypes.bfloat16),
    "one": np.array(3, np.int64),
    "none": np.zeros((0, 4), np.uint8),
}


@pytest.fixture(params=[0o022, 0o002, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_its_mode_follows_the_umask(tmp_path, umask):
    write_tensors(tmp_path / "a.safetensors", ARRAYS)
    own_files.save(tmp_path / "b.safetensors", {"params": ARRAYS}, own_files.Origin("m", {}, "s", "f"))
    for name in ("a.safetensors", "b.safetensors"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


def test_the_same_tensors_are_the_same_file(tmp_path):
    """With an order left to chance, eight names would come the same way round once in 40,000 times."""
    texts = {f'{name}\u00e9\n"': name for name in "hgfedcba"}
    for name in ("one", "two"):
        write_tensors(tmp_path / name, {"b": np.zeros(3), "a": np.ones(2, np.int32)}, texts)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with safe_open(tmp_path / "one", framework="numpy") as file:
        assert file.metadata() == texts
        np.testing.assert_array_equal(file.get_tensor("a"), np.ones(2, np.int32))


def test_safetensors_reads_what_was_written(tmp_path):
    path = tmp_path / "w.safetensors"
    write_tensors(path, ARRAYS, {"model": "m"})
    read = load_file(path)
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata() == {"model": "m"}


def test_no_room_is_an_error_of_the_system(tmp_path):
    """Here by a limit on the size of files; a full disk comes by the same way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_tensors(tmp_path / "w.safetensors", ARRAYS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("below", [".", "a", "a/b"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    folder = tmp_path / "file" / below
    with pytest.raises(
        FakedetectError, match=f"^{tmp_path}/file is a file, but must be a folder; move it away"
    ):
        write_text(folder / "x", "text")
    assert (tmp_path / "file").read_text() == "mine"
