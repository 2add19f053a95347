"""The face sequences of an archive, and how one becomes a folder of frames."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from fakedetect_jax.data_builders.engine.file_names import as_text
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.data_builders.wild_deepfake.archive import read_images
from fakedetect_jax.data_builders.wild_deepfake.plain_copy import open_copy
from fakedetect_jax.faces import VideoError
from fakedetect_jax.faces.images import decode_image, read_header
from fakedetect_jax.faces.video import BORDER

# The published images have 224. The border makes about three times as many pixels, and detection takes more memory.
MOST_PIXELS_A_SIDE = 2048
_REMEDY = "fetch the archive again"

_COPIES = "archives"


class FaceSequenceSource(NamedTuple):
    """Where the images of a sequence are.

    Attributes:
        archive: The tar.gz.
        stamp: The archive's size and time, which tell whether it is still the one that was listed.
        folder: The sequence's folder in the archive.
        damage: Why the archive cannot be read, '' if it can; no sequence of a damaged archive is used.
    """

    archive: Path
    stamp: str
    folder: str
    damage: str = ""


def find_sequences(archive: Path) -> list[FaceSequenceSource]:
    """Return the sequences of an archive in stored order; read it to its end without keeping or decoding an image.

    A damaged archive gives one sequence that says so, as nobody knows what it held.

    Raises:
        SourceError: The archive must not be unpacked; see `read_images`.
    """
    stamp = _stamp(archive)
    folders: dict[str, None] = {}
    try:
        for image in read_images(archive):
            folders[image.folder] = None
    except VideoError as error:
        return [FaceSequenceSource(archive, stamp, "", str(error))]
    if not folders:
        damage = f"{as_text(archive)}: the archive holds no image; fetch it again"
        return [FaceSequenceSource(archive, stamp, "", damage)]
    return [FaceSequenceSource(archive, stamp, folder) for folder in folders]


def write_frames(item: VideoItem, folder: Path) -> Path:
    """Write the images of a sequence, each with a border, into an empty folder beside those of other sequences.

    The archive is decompressed for the first of its sequences; the others read a copy beside `folder` (plain_copy.py).

    Returns:
        `folder`; its files are numbered in the natural order of the images' names.

    Raises:
        VideoError: The archive is damaged or is not the one that was listed, or an image cannot be used.
    """
    source: FaceSequenceSource = item.source
    if source.damage:
        raise VideoError(source.damage)
    if _stamp(source.archive) != source.stamp:
        raise VideoError(
            f"{as_text(source.archive)}: the archive has changed since it was listed; build again"
        )
    with open_copy(source.archive, folder.parent / _COPIES) as copy:
        for number, (name, data) in enumerate(copy.images(source.folder)):
            origin = f"{as_text(source.archive)}: {source.folder}/{name}"
            (folder / f"{number:06d}.png").write_bytes(_bordered(data, origin))
    return folder


def add_border(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Return the image with its edge pixels repeated outwards by BORDER of its size on each side."""
    height, width = (round(BORDER * side) for side in image.shape[:2])
    return cv2.copyMakeBorder(image, height, height, width, width, cv2.BORDER_REPLICATE)


def _bordered(data: bytes, origin: str) -> bytes:
    kind, size = read_header(data, origin, remedy=_REMEDY)
    if kind not in ("PNG", "JPEG"):
        raise VideoError(f"{origin}: not an image in PNG or JPEG; {_REMEDY}")
    if max(size) > MOST_PIXELS_A_SIDE:
        raise VideoError(
            f"{origin}: states {size[0]} x {size[1]} pixels, but a face has at most {MOST_PIXELS_A_SIDE} per side; "
            f"{_REMEDY}"
        )
    # Lossless, because JPEG would add its own traces to the forgery's; fast, because the files live for seconds.
    image = add_border(decode_image(data, origin, remedy=_REMEDY))
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def _stamp(archive: Path) -> str:
    """Return size and time of the file, or '' if there is none."""
    if not archive.exists():
        return ""
    status = archive.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
