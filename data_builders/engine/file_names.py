"""The names of files: which are videos and which clutter, which a list may give, and how they become text."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

LONGEST_NAME = 255  # bytes, in every common file system
LONGEST_PATH = 3000  # bytes below the source; with the way to it, Linux takes 4096

# What desktops, file servers and archivers leave in folders; besides, all names with a leading dot.
_CLUTTER = frozenset(
    {
        "$recycle.bin",
        "#recycle",
        "#snapshot",
        "@eadir",
        "__macosx",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)
_SHOWN = 5


def is_clutter(name: str) -> bool:
    """Return whether a file or folder is hidden, or left by a desktop or an archiver, and so nobody's video."""
    return name.startswith(".") or name.lower() in _CLUTTER


def find_files(folder: Path, suffix: str = ".mp4") -> list[Path]:
    """Return the files of a folder with a suffix, sorted, without clutter; none if there is no such folder."""
    if not folder.is_dir():
        return []
    # One pass, as a call for each file would be slow for 100,000 files.
    with os.scandir(folder) as entries:
        names = [
            entry.name for entry in entries if entry.name.endswith(suffix) and not is_clutter(entry.name)
        ]
    return [folder / name for name in sorted(names)]


def as_text(name: str | Path) -> str:
    """Return a name or path as text that can be written anywhere, on one line.

    Bytes that are not UTF-8 become escapes, as do line breaks and all that is not printable.
    """
    return "".join(sign if sign.isprintable() else _escape(sign) for sign in os.fspath(name))


def _escape(sign: str) -> str:
    # How Python shows a byte of a name that is not UTF-8.
    is_byte = "\udc80" <= sign <= "\udcff"
    return f"\\x{ord(sign) - 0xDC00:02x}" if is_byte else sign.encode("unicode_escape").decode()


def same_letters(text: str) -> str:
    """Return a label as text in which an accent and its letter are one character, however it was typed."""
    return unicodedata.normalize("NFC", as_text(text))


def listed(names: Iterable[str | Path]) -> str:
    """Return the first few names as text, and how many more there are."""
    texts = [as_text(name) for name in names]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def fault_of_name(name: str) -> str:
    """Say why `name` cannot be the name of a file, or return ''; a name with a folder in it cannot."""
    if name in ("", ".", "..") or any(sign in name for sign in "/\\\0"):
        return "is not the name of a file"
    try:
        size = len(os.fsencode(name))
        name.encode()
    except UnicodeEncodeError:
        return "is not the name of a file: it holds half a character"
    if size > LONGEST_NAME:
        return f"is not the name of a file: it has {size} bytes, more than {LONGEST_NAME}"
    return ""
