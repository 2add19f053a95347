"""The JSON files in which DFDC says what its videos are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_builders.listing import SourceError


def read_metadata(path: Path) -> dict[str, dict[str, Any]]:
    """Returns what a JSON file says of each video.

    Raises:
      SourceError: not a JSON object of objects.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SourceError(f"{path}: not JSON ({error}); fetch the file again") from error
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise SourceError(f"{path}: not an object with one object for each video; fetch the file again")
    return entries
