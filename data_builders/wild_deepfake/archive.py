"""Reads an archive of face images from its first byte to its last, and trusts nothing that it says."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple, Self

from data_builders.listing import SourceError
from fakedetect_jax.faces import VideoError
from fakedetect_jax.faces.video import IMAGE_SUFFIXES

_BLOCK = 1 << 20


class Limits(NamedTuple):
    """What an archive may hold; real ones stay far below (some ten thousand images of about 100 kB)."""

    members: int = 200_000
    member_bytes: int = 50_000_000
    total_bytes: int = 20_000_000_000


LIMITS = Limits()


class Image(NamedTuple):
    """One image of an archive: its folder, its file name, and its bytes as they are stored."""

    folder: str
    name: str
    data: bytes


def read_images(path: Path, limits: Limits = LIMITS) -> Iterator[Image]:
    """Yields the images of a tar.gz in stored order, in one pass and in little memory.

    The iteration ends only after the checksum of the whole archive was found right.

    Raises:
      SourceError: a member that could harm (a path that leads outside, a link, a device) or more data than
        `limits` allow; nothing of that member was read.
      VideoError: the archive is damaged or cut short.
    """
    try:
        yield from _read(path, limits)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise VideoError(f"{path}: the archive is damaged ({error}); fetch it again") from error


def _read(path: Path, limits: Limits) -> Iterator[Image]:
    count = total = 0
    with (
        gzip.open(path) as stream,
        tarfile.open(fileobj=stream, mode="r|", tarinfo=_bounded_headers(path, limits)) as archive,
    ):
        for member in archive:
            count, total = count + 1, total + member.size
            _refuse_harm(path, member)
            if count > limits.members or member.size > limits.member_bytes or total > limits.total_bytes:
                raise _too_large(path, member.name, limits)
            # A long archive would else keep every header in memory.
            archive.members = []  # pyright: ignore[reportAttributeAccessIssue]
            name = PurePosixPath(member.name)
            # Names with a leading dot are what a Mac adds to an archive.
            if member.isreg() and name.suffix.lower() in IMAGE_SUFFIXES and not name.name.startswith("."):
                data = archive.extractfile(member)
                assert data is not None
                yield Image(str(name.parent), name.name, data.read())
        # Damage within the archive can look like its end: only the checksum behind the last byte tells.
        while block := stream.read(_BLOCK):
            total += len(block)
            if total > limits.total_bytes:
                raise _too_large(path, "what follows the last member", limits)


def _bounded_headers(path: Path, limits: Limits) -> type[tarfile.TarInfo]:
    """tarfile reads long names and extended headers whole: their size must be refused before that."""

    class BoundedTarInfo(tarfile.TarInfo):
        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            info = super().frombuf(buf, encoding, errors)
            if info.size > limits.member_bytes:
                raise _too_large(path, info.name, limits)
            return info

    return BoundedTarInfo


def _refuse_harm(path: Path, member: tarfile.TarInfo) -> None:
    name = member.name
    if name.startswith("/") or PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
        raise SourceError(
            f"{path}: member {name!r} leads outside the archive's folder; this is not the published archive, "
            "remove it and fetch it again"
        )
    if not (member.isreg() or member.isdir()):
        raise SourceError(
            f"{path}: member {name!r} is a link or a device, not an image or a folder; this is not the "
            "published archive, remove it and fetch it again"
        )


def _too_large(path: Path, name: str, limits: Limits) -> SourceError:
    return SourceError(
        f"{path}: at member {name!r} the archive passes the limits of {limits.members:,} members, "
        f"{limits.member_bytes:,} bytes for one and {limits.total_bytes:,} bytes for all; this is not the published "
        "archive, remove it and fetch it again"
    )
