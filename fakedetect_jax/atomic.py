"""Writing a file so that a reader, or a crash, never meets half of it."""

import os
import uuid
from pathlib import Path


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Writes beside `path` and renames into place; parent folders are made, and the mode follows the umask.

    Raises:
      OSError: no room, or no right to write; what was there stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        # The system does not say for which file there was no room.
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Writes text as UTF-8, line ends as they are; see `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))
