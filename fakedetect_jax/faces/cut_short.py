"""Whether the end of a video file is missing, by the sizes that its outermost parts state."""

import os
from typing import BinaryIO

# IDs of Matroska's elements (RFC 9559).
_SEGMENT, _CLUSTER = 0x18538067, 0x1F43B675
_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"styp", b"sidx"})


def is_cut_short(file: BinaryIO) -> bool:
    """Return whether an MP4, Matroska (WebM) or AVI file ends before its last part does.

    Decoders take such a file for a shorter video, without a word. Other containers are never found cut short.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[4:8] in _BOXES:
        return _boxes_end(file) > size
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return _matroska_end(file, size) > size
    if head.startswith(b"RIFF"):
        stated = int.from_bytes(head[4:8], "little")
        return 8 + stated > size
    return False


def _boxes_end(file: BinaryIO) -> int:
    """Return where the last of an MP4's boxes would end; bytes that are no box end the walk."""
    place = 0
    while True:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8 or not head[4:8].isalnum():
            return place
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return place
        place += length


def _matroska_end(file: BinaryIO, size: int) -> int:
    """Return where the last element of a Matroska file would end; inside the parts that state no size."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(12)
        if len(head) < 2 or not head[0]:
            return place
        id_length = 9 - head[0].bit_length()
        name = int.from_bytes(head[:id_length], "big")
        length, width = _vint(head[id_length:])
        body = place + id_length + width
        if not width:
            return place
        unknown = length == (1 << 7 * width) - 1
        if unknown and name in (_SEGMENT, _CLUSTER):
            place = body
        elif unknown:
            return place
        else:
            place = body + length
    return place


def _vint(data: bytes) -> tuple[int, int]:
    """Return a variable-length integer and its number of bytes, 0 if there is none."""
    if not data or not data[0]:
        return 0, 0
    width = 9 - data[0].bit_length()
    return int.from_bytes(data[:width], "big") & ((1 << 7 * width) - 1), min(width, len(data))
