"""A reader of a tar's members, one after the other, that bounds what each header may cost.

Python's tarfile reads a header that is not a member as a whole, whatever its size, calls itself for the next one, and
takes a header that it cannot read for the end of the archive.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, runtime_checkable

_BLOCK = 512
_PIECE = 1 << 20
# Longer than any path, and than anything that systems note about a file.
LARGEST_HEADER = 64 << 10
MOST_HEADERS = 8

_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_EXTENDED, _GLOBAL = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), tarfile.XGLTYPE
_HEADERS = (_LONG_NAME, _LONG_LINK, _GLOBAL, *_EXTENDED)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


class TarFault(Exception):
    """Bytes that are not a tar that anyone would write; the message says what is wrong, not where."""


@runtime_checkable
class Readable(Protocol):
    """A stream from which members are read, strictly forwards."""

    def read(self, size: int, /) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        ...


class Member(NamedTuple):
    """A file or folder as its headers describe it, or `other`: a link, a device, a file with holes."""

    name: str
    size: int
    is_file: bool
    is_folder: bool

    @property
    def other(self) -> bool:
        """Whether it is neither a plain file nor a folder."""
        return not (self.is_file or self.is_folder)


def read_members(stream: Readable, accept: Callable[[Member], bool]) -> Iterator[tuple[Member, bytes]]:
    """Yield the files that `accept` accepts, with their bytes; it sees every member before its bytes are read.

    Raises:
        TarFault: The stream is not a tar, is cut short, or has headers that nobody writes.
        tarfile.TarError: A header cannot be parsed.
    """
    said: dict[str, str] = {}
    headers = 0
    block = _block(stream)
    if block is None:
        raise TarFault("it is empty")
    while block:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if info.type in _HEADERS:
            headers += 1
            said |= _header(stream, info, headers)
        else:
            # A folder has no bytes, whatever its header states.
            size = 0 if info.isdir() else int(said.get("size", info.size))
            if size < 0:
                raise TarFault(f"a member states {size} bytes")
            member = Member(said.get("path", info.name), size, info.type in _FILES, info.isdir())
            if accept(member) and member.is_file:
                yield member, _data(stream, member.size)
            else:
                _skip(stream, member.size)
            said, headers = {}, 0
        block = _block(stream)
    if headers:
        raise TarFault("it ends within a member's headers")


def _block(stream: Readable) -> bytes | None:
    """Return the next header, b"" for the zeros that end a tar, or None where nothing is left."""
    block = stream.read(_BLOCK)
    if block and len(block) < _BLOCK:
        raise TarFault("it ends within a header")
    return block.strip(b"\0") and block if block else None


def _header(stream: Readable, info: tarfile.TarInfo, count: int) -> dict[str, str]:
    """Return what a header that is not a member says about the next member: its 'path' or 'size'."""
    if count > MOST_HEADERS or not 0 <= info.size <= LARGEST_HEADER:
        raise TarFault(
            f"a member has {count} headers before it, the last of {info.size} bytes; the limits are {MOST_HEADERS} and "
            f"{LARGEST_HEADER}"
        )
    data = _data(stream, info.size)
    if info.type == _LONG_NAME:
        return {"path": data.partition(b"\0")[0].decode("utf-8", "surrogateescape")}
    fields = {} if info.type == _LONG_LINK else _pax(data)
    if info.type == _GLOBAL and fields:
        raise TarFault("a header states one path or size for all members")
    return fields


def _pax(data: bytes) -> dict[str, str]:
    """Return 'path' and 'size' of an extended header: lines 'LENGTH KEY=VALUE', where LENGTH counts the whole line."""
    fields: dict[str, str] = {}
    start = 0
    while start < len(data):
        # At most seven digits: the whole header is shorter than a million bytes.
        gap = data.find(b" ", start, start + 8)
        digits = data[start : max(gap, start)]
        length = int(digits) if digits.isdigit() else 0
        end = start + length
        if not start < gap < end <= len(data) or data[end - 1 : end] != b"\n":
            raise TarFault("an extended header is broken")
        key, _, value = data[gap + 1 : end - 1].partition(b"=")
        start = end
        if key.startswith(b"GNU.sparse"):
            raise TarFault("a member has holes")
        if key == b"path":
            fields["path"] = value.decode("utf-8", "surrogateescape")
        if key == b"size":
            if not value.isdigit() or len(value) > 20:
                raise TarFault("an extended header states a size that is not a number")
            fields["size"] = value.decode()
    return fields


def _data(stream: Readable, size: int) -> bytes:
    data = stream.read(min(size, sys.maxsize))
    if len(data) < size:
        raise TarFault("it ends within a member")
    _skip(stream, -size % _BLOCK, padded=True)
    return data


def _skip(stream: Readable, size: int, *, padded: bool = False) -> None:
    left = size if padded else size + -size % _BLOCK
    while left:
        piece = stream.read(min(left, _PIECE))
        if not piece:
            raise TarFault("it ends within a member")
        left -= len(piece)
