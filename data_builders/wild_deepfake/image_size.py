"""The size that an image states, read before any memory for its pixels is allocated."""

from __future__ import annotations

import struct

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
# The markers of a frame's header; the exceptions are tables.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SCAN, _END = 0xDA, 0xD9


def stated_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG or JPEG in pixels, or None for any other bytes."""
    if data.startswith(_PNG) and data[12:16] == b"IHDR" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    return _jpeg_size(data) if data.startswith(_JPEG) else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            return width, height
        if marker in (_SCAN, _END):
            return None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None
