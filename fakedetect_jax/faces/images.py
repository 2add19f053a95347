"""Images as videos: a folder of frames, a photograph, an animation."""

import errno
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageSequence

from fakedetect_jax.faces.frame import Frame, Video, VideoError, check_size

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
IMAGES_FPS = 25.0
_REMEDY = "extract the frame again or remove it"
# Pillow's names of the formats whose files may hold many pictures that follow each other in time.
_ANIMATED = frozenset({"PNG", "WEBP"})
# An animation that states no time for a picture is shown at this pace by browsers.
_DEFAULT_DURATION = 0.1


def open_folder(folder: Path, *, stride: int, max_frames: int | None) -> Video:
    """Open a folder whose images are the frames, in natural order of their names.

    Hidden files, such as the `._` companions that macOS leaves on other systems' disks, are not frames.

    Raises:
        VideoError: It holds no images.
    """
    images = [
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in IMAGE_SUFFIXES and not entry.name.startswith(".") and entry.is_file()
    ]
    if not images:
        raise VideoError(
            f"{folder}: the folder holds no images ({' '.join(sorted(IMAGE_SUFFIXES))}); "
            "name a video file, or the folder that directly holds the frames"
        )
    ordered = sorted(images, key=_natural_key)[:max_frames]
    return _of_files(ordered, stride)


def open_image(path: Path, *, stride: int, max_frames: int | None) -> Video:
    """Open an image: a video of one frame, or of all pictures of an animated WebP or PNG."""
    with _opened(path, path) as image:
        stated = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    if stated == 1:
        return _of_files([path][:max_frames], stride)
    times = _times(path)[:max_frames]
    fps = (len(times) - 1) / times[-1] if len(times) > 1 else IMAGES_FPS
    video = Video(fps, lambda: len(times))
    video.frames = _animation(video, path, times, stride)
    if len(times) < min(stated, max_frames or stated):
        video.damage = f"decoded {len(times)} of {stated} frames; the file is cut short or damaged"
    return video


def _of_files(paths: list[Path], stride: int) -> Video:
    video = Video(IMAGES_FPS, lambda: len(paths))
    video.frames = _image_frames(video, paths, stride)
    return video


def _image_frames(video: Video, paths: list[Path], stride: int) -> Iterator[Frame]:
    faults = []
    for index in range(0, len(paths), stride):
        try:
            image = decode_image(paths[index].read_bytes(), paths[index])
        except VideoError as error:
            faults.append(error)
            continue
        video.decoded = index + 1 - len(faults)
        yield Frame(index, index / IMAGES_FPS, image)
    if faults and not video.decoded:
        raise faults[0]
    if faults:
        video.damage = f"{len(faults)} of {len(paths)} images cannot be decoded; the first is {faults[0]}"


def decode_image(data: bytes, where: object, *, remedy: str = _REMEDY) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an image to BGR, upright as its EXIF says.

    Args:
        data: The file's content.
        where: Names the image in errors.
        remedy: Ends them.

    Raises:
        VideoError: It is not an image, is larger than `MAX_PIXELS`, cut short, or damaged.
        cv2.error: There is no memory for it.
    """
    kind, size = read_header(data, where, remedy=remedy)
    check_size(where, *size)
    if kind == "JPEG" and _is_cut_short(data):
        raise VideoError(f"{where}: the image is cut short; {remedy}")
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        if getattr(error, "code", None) == cv2.Error.StsNoMem:
            raise
        raise VideoError(f"{where}: OpenCV cannot decode it ({error}); {remedy}") from error
    if decoded is None:
        raise _broken(where, remedy)
    return decoded


def read_header(data: bytes, where: object, *, remedy: str = _REMEDY) -> tuple[str, tuple[int, int]]:
    """Return Pillow's name of an image's format, and the width and height that it states, without decoding.

    Raises:
        VideoError: It is not an image.
    """
    with _opened(io.BytesIO(data), where, remedy) as image:
        return image.format or "", image.size


def _opened(file: Path | io.BytesIO, where: object, remedy: str = _REMEDY) -> Image.Image:
    """Read an image's header."""
    try:
        return Image.open(file)
    except (Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise VideoError(f"{where}: not an image that can be decoded ({error}); {remedy}") from error
    except OSError as error:
        if _is_of_the_disk(error):
            raise
        raise _broken(where, remedy) from error


def _is_of_the_disk(error: Exception) -> bool:
    # An offset in a damaged file, and not the disk, is what makes an argument invalid.
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


def _broken(where: object, remedy: str = _REMEDY) -> VideoError:
    return VideoError(f"{where}: not an image that can be decoded; {remedy}")


def _is_cut_short(jpeg: bytes) -> bool:
    """Return whether the end of the picture is missing: decoders fill what is not there with grey."""
    place = 2
    while place + 4 <= len(jpeg) and jpeg[place] == 0xFF and jpeg[place + 1] != 0xDA:
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    return jpeg.find(b"\xff\xd9", place) < 0


def _times(path: Path) -> list[float]:
    """Return the time in seconds at which each picture of an animation appears, as far as they can be decoded."""
    times, now = [], 0.0
    with _opened(path, path) as image:
        check_size(path, *image.size)
        try:
            for picture in ImageSequence.Iterator(image):
                picture.load()
                times.append(now)
                now += picture.info.get("duration", 0) / 1000 or _DEFAULT_DURATION
        except (OSError, EOFError, SyntaxError, ValueError) as error:
            if _is_of_the_disk(error):
                raise
            if not times:
                raise _broken(path) from error
    return times


def _animation(video: Video, path: Path, times: list[float], stride: int) -> Iterator[Frame]:
    with _opened(path, path) as image:
        for index in range(0, len(times), stride):
            image.seek(index)
            picture = cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2BGR)
            video.decoded = index + 1
            yield Frame(index, times[index], picture)


def _natural_key(path: Path) -> list[tuple[int, str]]:
    """Return a key under which digits compare as numbers, the rest as text."""
    parts = re.split(r"([0-9]+)", os.path.basename(path))  # every second part is a number
    return [(int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)]
