"""What a clone without git-lfs has in place of weights."""

import pytest

from fakedetect_jax import files
from fakedetect_jax.weights import WeightsError, read_tensors

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234567\n"


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.h5"])
def test_weights_that_are_a_pointer_are_called_one(tmp_path, name):
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(WeightsError, match=rf"{name}: is a Git LFS pointer.*git lfs pull"):
        read_tensors(tmp_path / name)


def test_a_pointer_is_told_from_files_that_begin_alike(tmp_path):
    for content, expected in (
        (POINTER, True),
        (POINTER + "x" * 2000, False),
        ("", False),
        ("version 1", False),
    ):
        (tmp_path / "file").write_text(content)
        assert files.is_lfs_pointer(tmp_path / "file") is expected
