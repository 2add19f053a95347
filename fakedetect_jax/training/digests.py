"""SHA-256 of every file of a folder, in a file of its own: what was changed, cut or lost since is found out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from fakedetect_jax.errors import FakedetectError

DIGESTS = "sha256.json"
# Orbax writes the first again when the rest is whole: times, on which nothing depends.
_UNCHECKED = ("_CHECKPOINT_METADATA", DIGESTS)


class ChangedFile(FakedetectError):
    """A file that is not what it was when the digests were made."""


def write_digests(folder: Path, *, unfinished: str) -> None:
    """Writes `folder`/sha256.json, {path: digest} of all files below it; `unfinished` is left out of their names."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in _UNCHECKED]
    names = [path.relative_to(folder).as_posix().replace(unfinished, "") for path in files]
    document = {name: _digest(path) for name, path in zip(names, files, strict=True)}
    (folder / DIGESTS).write_text(json.dumps(document, indent=1), encoding="utf-8")


def check_digests(folder: Path) -> bool:
    """Checks that the files are those of which the digests were made.

    Returns:
      False where there are no digests, so that nothing could be checked.

    Raises:
      ChangedFile: names the first that is missing or changed.
    """
    try:
        document = json.loads((folder / DIGESTS).read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        raise ChangedFile(f"{DIGESTS} was changed or cut") from None
    for name, wanted in document.items():
        try:
            found = _digest(folder / name)
        except FileNotFoundError:
            raise ChangedFile(f"{name} is missing") from None
        if found != wanted:
            raise ChangedFile(f"{name} was changed or cut")
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
