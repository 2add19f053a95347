"""Digests of a folder's files, kept in a file beside them, by which a changed file is found when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from fakedetect_jax.files import AnyPath, write_text

DIGESTS = "sha256.json"
_CHUNK = 1 << 20


class ChangedFile(Exception):
    """A file that is not what it was when the digests were made; the message names it, from its folder on."""


class MissingFile(ChangedFile):
    """A file that had a digest, or the file of the digests, and is not there."""


def write_digests(folder: AnyPath, paths: Mapping[str, AnyPath]) -> None:
    """Write the SHA-256 of files to `folder`/sha256.json.

    Args:
        folder: where the files are or will be.
        paths: the files as they lie now, by their names from `folder` on.
    """
    document = {name: _digest(path) for name, path in sorted(paths.items())}
    write_text(folder / DIGESTS, json.dumps(document, indent=1))


def check_digests(folder: AnyPath, *, required: Iterable[str] = (), below: str = "") -> None:
    """Check that files are those that the digests were made of.

    Args:
        folder: where sha256.json is.
        required: files that must be among those with a digest.
        below: a folder in `folder`; only its files are checked. By default all are.

    Raises:
        ChangedFile: sha256.json or a file is missing, cut or changed; names the first.
    """
    digests = _read(folder, required)
    for name, wanted in digests.items():
        if below and below not in map(str, PurePosixPath(name).parents):
            continue
        try:
            found = _digest(folder / name)
        except FileNotFoundError:
            raise MissingFile(f"{name} is missing") from None
        except (IsADirectoryError, NotADirectoryError):
            raise ChangedFile(f"{name} is a folder, or below a file") from None
        if found != wanted:
            raise ChangedFile(f"{name} was changed or cut")


def _read(folder: AnyPath, required: Iterable[str]) -> dict[str, str]:
    try:
        document = json.loads((folder / DIGESTS).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFile(f"{DIGESTS} is missing") from None
    except (ValueError, RecursionError, IsADirectoryError):
        raise ChangedFile(f"{DIGESTS} was changed or cut") from None
    if (
        not isinstance(document, dict)
        or not document
        or not all(isinstance(digest, str) and _lies_below(name) for name, digest in document.items())
    ):
        raise ChangedFile(f"{DIGESTS} was changed or cut")
    for name in required:
        if name not in document:
            raise ChangedFile(f"{DIGESTS} lacks {name}")
    return document


def _lies_below(name: str) -> bool:
    """Return whether a name leads to nowhere but the folder: reading a device might never end."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _digest(path: AnyPath) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()
