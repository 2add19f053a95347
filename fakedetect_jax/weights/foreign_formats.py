"""What a file is that holds no weights that can be read, and what to do with it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from fakedetect_jax import files

_KNOWN = "safetensors, PyTorch's .pth, .pt, .tar and .bin, and Keras's .h5"
# The first bytes of a file: what it is, and the remedy.
_STARTS = {
    b"\x1f\x8b": ("is compressed with gzip", "gunzip it, and give the file that comes out"),
    b"BZh": ("is compressed with bzip2", "bunzip2 it, and give the file that comes out"),
    b"\xfd7zXZ\x00": ("is compressed with xz", "unxz it, and give the file that comes out"),
    b"\x28\xb5\x2f\xfd": ("is compressed with zstd", "unzstd it, and give the file that comes out"),
    b"7z\xbc\xaf\x27\x1c": ("is a 7z archive", "unpack it, and give the file of weights in it"),
    b"Rar!": ("is a RAR archive", "unpack it, and give the file of weights in it"),
    b"\x93NUMPY": ("is one NumPy array without a name", "save the weights by name, as safetensors"),
}
# The mark of a tar archive and its place.
_TAR, _TAR_PLACE = b"ustar", 257
LONGEST_START = _TAR_PLACE + len(_TAR)


def explain_zip(path: Path, names: Collection[str]) -> str:
    """Return the error for a zip file with entries of these names, which torch.save did not write."""
    if any("/code/" in name for name in names):
        what = "is a TorchScript program"
        remedy = "load it with torch.jit.load, and save its state_dict() with torch.save"
    elif any(name.endswith(".npy") for name in names):
        what, remedy = "is a file of NumPy's savez", "save the arrays by name as safetensors"
    elif "model.weights.h5" in names:
        what, remedy = "is in Keras 3's format", "load it in Keras 3 and save it with model.save('FILE.h5')"
    else:
        what, remedy = (
            "is a zip file without PyTorch's data.pkl",
            "unpack it, and give the file of weights in it",
        )
    return f"{path}: {what}. Remedy: {remedy}"


def explain(path: Path, start: bytes) -> str:
    """Return the error for a file that begins with `start`, `LONGEST_START` bytes if it has as many."""
    if files.is_lfs_pointer(path):
        return files.explain_lfs_pointer(path)
    for mark, (what, remedy) in _STARTS.items():
        if start.startswith(mark):
            return f"{path}: {what}. Remedy: {remedy}"
    if start[_TAR_PLACE:] == _TAR:
        return f"{path}: is a tar archive. Remedy: unpack it, and give the file of weights in it"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return (
            f"{path}: is a web page, as servers send in place of a file that needs a login or a confirmation. Remedy: "
            "download the file itself, in a browser"
        )
    return f"{path}: is not one of the known file formats ({_KNOWN})"
