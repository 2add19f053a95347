"""Streaming decode of a video file or a folder of images: upright frames, one at a time."""

import errno
import os
import stat
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from fakedetect_jax import files
from fakedetect_jax.faces.decoder import open_file
from fakedetect_jax.faces.frame import Frame, Video, VideoError
from fakedetect_jax.faces.images import IMAGE_SUFFIXES, IMAGES_FPS, open_folder, open_image

__all__ = ["BORDER", "IMAGES_FPS", "IMAGE_SUFFIXES", "Bordered", "Frame", "Video", "VideoError", "open_video"]

BORDER = 0.4
"""Border of a face crop on each side, as a fraction of it: detectors need some room around a face.

Measured on WildDeepfake's crops, see data_builders/wild_deepfake/README.md.
"""


def open_video(
    path: str | os.PathLike[str],
    *,
    stride: int = 1,
    max_frames: int | None = None,
    max_seconds: float | None = None,
) -> Video:
    """Open a video file, an image, or a folder of images for one streaming pass.

    Args:
        path: A file that FFmpeg can decode, an image (a video of one frame, or of those of an animated PNG or WebP),
            or a folder whose images are the frames, in natural order of their names (frame2 before frame10), at 25
            frames a second.
        stride: Yield the source frames 0, stride, 2 * stride, ...
        max_frames: Stop after this many source frames (before the stride).
        max_seconds: Stop this many seconds after the first frame. A folder of images has no times.

    Returns:
        The video. Its frames are what a person sees: upright and not mirrored (the display matrix or the EXIF of an
        image is applied), deinterlaced, with square pixels, and those of high dynamic range as on a usual screen. Of a
        file that breaks off, or whose frames are damaged in part, it yields the others, and `damage` says so.

    Raises:
        VideoError: The path is missing, is not a video, is a device or a pipe, or holds no frame that can be decoded.
            Folders and files without any frame raise it when the frames are read.
        OSError: The disk or the network fails.
    """
    path = Path(path)
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        limit = (
            max_frames if max_seconds is None else min(max_frames or 1 << 62, round(max_seconds * IMAGES_FPS))
        )
        return open_folder(path, stride=stride, max_frames=limit)
    if not stat.S_ISREG(mode):
        raise VideoError(f"{path}: is a pipe, a device or a socket; name a file")
    if files.is_lfs_pointer(path):
        raise VideoError(files.explain_lfs_pointer(path))
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return open_image(path, stride=stride, max_frames=max_frames)
    return open_file(path, stride=stride, max_frames=max_frames, max_seconds=max_seconds)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise VideoError(f"{path}: no such file or folder; check the path") from None
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        raise VideoError(f"{str(path)[:200]!r}: not the name of a file ({error}); check the path") from error


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
