"""The JSON files in which DFDC says what its videos are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fakedetect_jax.data_builders.engine.source_files import SourceError, read_json


def read_metadata(path: Path) -> dict[str, dict[str, Any]]:
    """Return what a JSON file says about each video.

    Raises:
        SourceError: The file is not a JSON object of objects.
    """
    entries = read_json(path, remedy="fetch the file again")
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise SourceError(f"{path}: not an object with one object for each video; fetch the file again")
    return entries
