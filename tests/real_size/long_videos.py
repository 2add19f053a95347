"""Long videos made of the short fixture, so that the tests need no file of their own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from fakedetect_jax.faces.video import open_video
from tests.tiny_dataset import FACE

FPS = 25


def face_frames() -> list[np.ndarray]:
    """A second of one face, there and back: the end goes on with the beginning without a jump."""
    frames = [frame.image for frame in open_video(FACE).frames]
    return frames + frames[-2:0:-1]


def write(path: Path, images: Iterable[np.ndarray]) -> Path:
    """Writes images of one size as a video of 25 frames a second."""
    images = iter(images)
    first = next(images)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, first.shape[1::-1])
    writer.write(first)
    for image in images:
        writer.write(image)
    writer.release()
    return path


def steady(path: Path, length: int) -> Path:
    """One face for `length` frames."""
    faces = face_frames()
    return write(path, (faces[place % len(faces)] for place in range(length)))


def two_people(path: Path, length: int) -> Path:
    """The face at the left, and its mirror image at two thirds of its size at the right."""
    faces = face_frames()

    def image(place: int) -> np.ndarray:
        left = faces[place % len(faces)]
        right = np.full_like(left, 90)
        small = cv2.resize(left[:, ::-1], None, fx=2 / 3, fy=2 / 3, interpolation=cv2.INTER_AREA)
        right[: small.shape[0], : small.shape[1]] = small
        return np.hstack([left, right])

    return write(path, map(image, range(length)))


def shots(path: Path, lengths: tuple[int, ...]) -> Path:
    """One face in several shots, parted by a quarter of a second of a grey screen."""
    faces = face_frames()

    def images() -> Iterable[np.ndarray]:
        for number, length in enumerate(lengths):
            if number:
                yield from [np.full_like(faces[0], 60 + 100 * (number % 2))] * 6
            for place in range(length):
                image = faces[place % len(faces)]
                yield np.roll(image, 40 * number, axis=1)

    return write(path, images())
