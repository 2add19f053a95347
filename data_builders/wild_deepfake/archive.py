"""A reader that goes through an archive of face images from the first byte to the last and trusts nothing in it."""

from __future__ import annotations

import errno
import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from fakedetect_jax import files
from fakedetect_jax.data_builders.engine.file_names import LONGEST_NAME, as_text, is_clutter
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.wild_deepfake.tar_stream import Member, Readable, TarFault, read_members
from fakedetect_jax.faces import VideoError
from fakedetect_jax.faces.video import IMAGE_SUFFIXES

_BLOCK = 1 << 20
# Errors that are about the path; any other error is temporary and not the archive's fault.
_OF_THE_PATH = {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP}


class Limits(NamedTuple):
    """What an archive may hold; real archives stay far below (some ten thousand images of about 100 kB)."""

    members: int = 200_000
    member_bytes: int = 50_000_000
    total_bytes: int = 20_000_000_000


LIMITS = Limits()


class Image(NamedTuple):
    """One image of an archive: its folder, its file name, and its bytes as stored."""

    folder: str
    name: str
    data: bytes


def read_images(path: Path, limits: Limits = LIMITS) -> Iterator[Image]:
    """Yield the images of a tar.gz in stored order, in one pass and with little memory.

    The iteration ends only after the checksum of the whole archive has been verified.

    Raises:
        SourceError: A member could do harm (a path that leads outside, a link, a device), or there is more data than
            `limits` allow. Nothing of that member was read.
        VideoError: The archive is damaged, cut short, or not a file that can be opened.
        OSError: The disk or the network failed, which is not the archive's fault.
    """
    where = as_text(path)
    try:
        if path.exists() and not path.is_file():
            raise VideoError(f"{where}: is not a file; fetch the archive again")
        if files.is_lfs_pointer(path):
            raise VideoError(files.explain_lfs_pointer(where))
        yield from _read(path, where, limits)
    except (TarFault, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise VideoError(f"{where}: the archive is damaged ({error}); fetch it again") from error
    except OSError as error:
        if error.errno not in _OF_THE_PATH:
            raise
        raise VideoError(f"{where}: the archive cannot be opened ({error.strerror})") from error


def natural_key(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names by comparing digits as numbers and the rest as text."""
    # isdigit alone also accepts digits that are not numbers, such as the superscript 2.
    return [
        (int(part), "") if part.isascii() and part.isdigit() else (-1, part)
        for part in re.split(r"([0-9]+)", name)
    ]


def _read(path: Path, where: str, limits: Limits) -> Iterator[Image]:
    with gzip.open(path) as unpacked:
        stream = _Bounded(unpacked, where, limits)
        check = _MemberCheck(where, limits)
        for member, data in read_members(stream, check):
            name = PurePosixPath(member.name)
            yield Image(str(name.parent), name.name, data)
        # Damage within the archive can look like its end; only the checksum after the last byte tells.
        while stream.read(_BLOCK):
            pass


class _Bounded:
    """The unpacked bytes, members, headers and the rest, up to a limit."""

    def __init__(self, stream: Readable, where: str, limits: Limits) -> None:
        self._stream, self._where, self._limits = stream, where, limits
        self._total = 0

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._total += len(data)
        if self._total > self._limits.total_bytes:
            raise _too_large(self._where, f"byte {self._total:,}", self._limits)
        return data


class _MemberCheck:
    """A test of whether a member is a wanted image; it raises for one that could do harm."""

    def __init__(self, where: str, limits: Limits) -> None:
        self._where, self._limits = where, limits
        self._count = 0
        self._seen: set[PurePosixPath] = set()

    def __call__(self, member: Member) -> bool:
        self._count += 1
        _refuse_harm(self._where, member)
        if self._count > self._limits.members or member.size > self._limits.member_bytes:
            raise _too_large(self._where, f"member {_shown(member.name)}", self._limits)
        name = PurePosixPath(member.name)
        # macOS adds files with a leading dot to an archive.
        if (
            not member.is_file
            or name.suffix.lower() not in IMAGE_SUFFIXES
            or any(map(is_clutter, name.parts))
        ):
            return False
        if name in self._seen:
            raise TarFault(f"it holds {_shown(member.name)} twice")
        self._seen.add(name)
        return True


def _refuse_harm(where: str, member: Member) -> None:
    name = member.name
    if name.startswith("/") or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
        raise SourceError(
            f"{where}: member {_shown(name)} leads outside the archive's folder; this is not the published archive: "
            "remove it and fetch it again"
        )
    if member.other:
        raise SourceError(
            f"{where}: member {_shown(name)} is a link or a device, not an image or a folder; this is not the "
            "published archive: remove it and fetch it again"
        )
    # Names become those of videos, which are written into records, reports and the terminal.
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise TarFault(f"the name {_shown(name)} is not printable text of at most {LONGEST_NAME} characters")


def _shown(name: str) -> str:
    return ascii(name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}...")


def _too_large(where: str, place: str, limits: Limits) -> SourceError:
    return SourceError(
        f"{where}: at {place} the archive exceeds the limits of {limits.members:,} members, "
        f"{limits.member_bytes:,} bytes per member and {limits.total_bytes:,} bytes in all; this is not the published "
        "archive: remove it and fetch it again"
    )
