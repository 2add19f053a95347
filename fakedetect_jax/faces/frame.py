"""What a video is to the face pipeline: frames in order of time, and an account of those that cannot be had."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from fakedetect_jax.errors import FakedetectError

MAX_PIXELS = 1 << 26
"""Larger pictures are refused: 67 million pixels, twice those of 8K video, are 200 MB of memory each."""


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
    """An opened video, for one pass.

    Attributes:
        fps: Frames a second.
        length: Returns the number of frames that there should be: the number that the file states, or, without one,
            that of its encoded pictures, for which the file is read once without decoding.
        frames: An iterator that decodes frame by frame.
        decoded: Number of source frames that were decoded so far.
        damage: What could not be read, with the number of frames that could, or ''; known when `frames` has ended.
    """

    fps: float
    length: Callable[[], int]
    frames: Iterator[Frame] = dataclasses.field(default_factory=lambda: iter(()))
    decoded: int = 0
    damage: str = ""


def check_size(where: object, width: int, height: int) -> None:
    """Check the size of a picture before memory is taken for it.

    Raises:
        VideoError: More than `MAX_PIXELS`, or none.
    """
    if not 0 < width * height <= MAX_PIXELS:
        raise VideoError(
            f"{where}: pictures of {width} x {height} pixels; at most {MAX_PIXELS >> 20} million are decoded, scale it "
            "down first"
        )
