"""A face sequence of an archive, and how it becomes a folder of frames."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from data_builders.listing import VideoItem
from data_builders.wild_deepfake.archive import read_images
from fakedetect_jax.faces import VideoError

# Of the image's own height and width, on each side; what it is good for was measured, see README.md.
BORDER = 0.4


class FaceSequenceSource(NamedTuple):
    """Where the images of a sequence are.

    Attributes:
      archive: the tar.gz.
      folder: the sequence's folder in it.
      images: how many it holds.
      damage: why the archive cannot be read, '' if it can; no sequence of a damaged one is used.
    """

    archive: Path
    folder: str
    images: int
    damage: str = ""


def find_sequences(archive: Path) -> list[FaceSequenceSource]:
    """Returns the sequences of an archive in stored order; reads it to its end, but keeps and decodes no image.

    A damaged archive is one sequence that says so, as nobody knows what it held.

    Raises:
      SourceError: an archive that must not be unpacked (read_images).
    """
    images: dict[str, int] = {}
    try:
        for image in read_images(archive):
            images[image.folder] = images.get(image.folder, 0) + 1
    except VideoError as error:
        return [FaceSequenceSource(archive, "", 0, str(error))]
    if not images:
        return [FaceSequenceSource(archive, "", 0, f"{archive}: the archive holds no image; fetch it again")]
    return [FaceSequenceSource(archive, folder, count) for folder, count in images.items()]


def write_frames(item: VideoItem, folder: Path) -> Path:
    """Writes the images of a sequence, each with a border, into `folder` and returns it.

    Names stay as they are: the frame numbers that put them in order.

    Raises:
      VideoError: the archive is damaged, or is not the one that was listed.
    """
    source: FaceSequenceSource = item.source
    if source.damage:
        raise VideoError(source.damage)
    written = 0
    for image in read_images(source.archive):
        if image.folder != source.folder:
            continue
        _write_bordered(image.data, folder / image.name, f"{source.archive}: {image.folder}/{image.name}")
        written += 1
        if written == source.images:
            return folder
    raise VideoError(
        f"{source.archive}: {written} images in {source.folder!r}, {source.images} when it was listed; "
        "the archive has changed, build again"
    )


def add_border(image: np.ndarray) -> np.ndarray:
    """Returns the image [h, w, 3] with its edge pixels repeated outwards, BORDER of its size on each side."""
    height, width = (round(BORDER * side) for side in image.shape[:2])
    return cv2.copyMakeBorder(image, height, height, width, width, cv2.BORDER_REPLICATE)


def _write_bordered(data: bytes, path: Path, origin: str) -> None:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise VideoError(f"{origin}: not an image that OpenCV can decode; fetch the archive again")
    # Lossless, as JPEG would lay its own traces over a forger's; fast, as the files live for seconds.
    encoded, png = cv2.imencode(".png", add_border(image), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not encoded:
        raise VideoError(f"{origin}: OpenCV could not encode the image with its border")
    path.with_suffix(".png").write_bytes(png.tobytes())
