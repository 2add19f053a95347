"""Streaming decode of a video file or a folder of images: upright frames, one at a time."""

import dataclasses
import errno
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import UInt8

from fakedetect_jax import files
from fakedetect_jax.errors import FakedetectError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
IMAGES_FPS = 25.0

BORDER = 0.4
"""Border of a face crop on each side, as a fraction of it: detectors need some room around a face.

Measured on WildDeepfake's crops, see data_builders/wild_deepfake/README.md.
"""

_LOG = logging.getLogger(__name__)


class VideoError(FakedetectError):
    """A video that cannot be opened, or without any frame that can be decoded."""


class Frame(NamedTuple):
    """One upright frame of a video.

    Attributes:
        index: Number in the source video, from 0.
        timestamp: Seconds since the start of the video.
        image: BGR.
    """

    index: int
    timestamp: float
    image: UInt8[np.ndarray, "h w 3"]


@dataclasses.dataclass
class Video:
    """An opened video.

    Attributes:
        fps: Frames a second.
        length: Number of frames that the file states.
        frames: An iterator, for one pass, that decodes frame by frame.
        decoded: Number of source frames that were decoded so far.
        damage: What could not be read, with the number of frames that could, or ''; known when `frames` has ended.
    """

    fps: float
    length: int
    frames: Iterator[Frame] = dataclasses.field(default_factory=lambda: iter(()))
    decoded: int = 0
    damage: str = ""


def open_video(path: str | os.PathLike[str], *, stride: int = 1, max_frames: int | None = None) -> Video:
    """Open a video file, an image, or a folder of images for one streaming pass.

    Args:
        path: A file that FFmpeg can decode, an image (a video of one frame), or a folder whose images are the frames,
            in natural order of their names (frame2 before frame10), at 25 frames a second.
        stride: Yield the source frames 0, stride, 2 * stride, ...
        max_frames: Stop after this many source frames (before the stride).

    Returns:
        The video; its frames have the rotation of a phone clip's metadata or of an image's EXIF already applied. A
        file that breaks off yields the frames before the break and logs a warning.

    Raises:
        VideoError: The path is missing, is not a video, or holds no frame that can be decoded. Folders and files
            without any frame raise it when the frames are read.
    """
    path = Path(path)
    if not _exists(path):
        raise VideoError(f"{path}: no such file or folder; check the path")
    if path.is_file() and files.is_lfs_pointer(path):
        raise VideoError(files.explain_lfs_pointer(path))
    if path.is_dir():
        images = [
            entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file()
        ]
        if not images:
            raise VideoError(
                f"{path}: the folder holds no images ({' '.join(sorted(IMAGE_SUFFIXES))}); "
                "name a video file, or the folder that directly holds the frames"
            )
        ordered = sorted(images, key=_natural_key)[:max_frames]
        return _of_images(ordered, stride)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return _of_images([path], stride)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise VideoError(
            f"{path}: not a video that FFmpeg can open ({path.stat().st_size} bytes); if it was cut short or "
            "downloaded in part, fetch it again, else convert it to mp4"
        )
    fps = capture.get(cv2.CAP_PROP_FPS)
    if not 0 < fps < 1000:
        _LOG.warning("%s: the file states %s frames a second; assuming %s", path, fps, IMAGES_FPS)
        fps = IMAGES_FPS
    stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    length = stated if max_frames is None else min(stated, max_frames)
    video = Video(fps, length)
    video.frames = _video_frames(video, path, capture, stride, max_frames)
    return video


def _of_images(paths: list[Path], stride: int) -> Video:
    video = Video(IMAGES_FPS, len(paths))
    video.frames = _image_frames(video, paths[::stride], stride)
    return video


def _exists(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG:
            raise
        raise VideoError(f"{str(path)[:200]!r}: not the name of a file ({error}); check the path") from error
    return True


def _natural_key(path: Path) -> list[tuple[int, str]]:
    """Return a key under which digits compare as numbers, the rest as text."""
    parts = re.split(r"([0-9]+)", path.name)  # every second part is a number
    return [(int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)]


def _image_frames(video: Video, paths: list[Path], stride: int) -> Iterator[Frame]:
    for position, path in enumerate(paths):
        # On Windows, imread cannot open names outside the code page.
        data = np.fromfile(path, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        if image is None:
            raise VideoError(
                f"{path}: not an image that OpenCV can decode; extract the frame again or remove it"
            )
        index = position * stride
        video.decoded += 1
        yield Frame(index, index / IMAGES_FPS, image)


def _video_frames(
    video: Video, path: Path, capture: cv2.VideoCapture, stride: int, max_frames: int | None
) -> Iterator[Frame]:
    expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    index = 0
    previous = -1.0
    try:
        while (max_frames is None or index < max_frames) and capture.grab():
            if index % stride == 0:
                decoded, image = capture.retrieve()
                if not decoded:
                    break
                # Broken containers give no times, or times that go back; the frame rate then tells the time.
                timestamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                if timestamp <= previous:
                    timestamp = max(index / video.fps, previous + 1 / video.fps)
                previous = timestamp
                yield Frame(index, timestamp, image)
            index += 1
            video.decoded = index
    finally:
        capture.release()
    if index == 0 and max_frames != 0:
        raise VideoError(
            f"{path}: no frame could be decoded; the file is cut short or damaged, fetch it again"
        )
    wanted = expected if max_frames is None else min(expected, max_frames)
    # Sound containers overstate the count by a few frames; a break loses more.
    if index < wanted - max(5, 0.02 * wanted):
        video.damage = f"decoded {index} of {wanted} frames; the file is cut short or damaged"
        _LOG.warning("%s: %s", path, video.damage)


class Bordered:
    """Turns face crops into frames in which a face can be found: with a border, square, and all of one size.

    Crops of one face differ in size from frame to frame, and a tracker takes a change of size for a cut. The first crop
    decides the size.
    """

    def __init__(self) -> None:
        self._side = 0

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "s s 3"]:
        """Return the crop in the middle of a square, with its edge pixels repeated outwards."""
        self._side = self._side or max(image.shape[:2])
        scale = self._side / max(image.shape[:2])
        if scale != 1:
            size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        side = self._side + 2 * round(BORDER * self._side)
        top, left = ((side - length) // 2 for length in image.shape[:2])
        bottom, right = side - image.shape[0] - top, side - image.shape[1] - left
        return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REPLICATE)
