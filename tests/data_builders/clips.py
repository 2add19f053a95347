"""Short real videos, one of each kind that a download may hold, to fill the trees of the official layouts."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from fakedetect_jax.faces.video import open_video
from tests.tiny_dataset import FACE

FRAMES = 4


class Clips:
    """One clip of each kind, copied to where a tree needs it."""

    def __init__(self, folder: Path) -> None:
        faces = [frame.image for frame in open_video(FACE, max_frames=FRAMES).frames]
        small = [cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA) for image in faces]
        self.size = faces[0].shape[1::-1]
        self._kinds = {
            "face": _write(folder / "face.mp4", faces),
            "two": _write(folder / "two.mp4", [_beside(*pair) for pair in zip(faces, small, strict=True)]),
            "empty": _write(folder / "empty.mp4", [np.full_like(image, 90) for image in faces]),
            "mask_right": _write(folder / "mask.mp4", [_right_half(image) for image in faces]),
        }
        (folder / "corrupt.mp4").write_bytes(b"not a video")
        self._kinds["corrupt"] = folder / "corrupt.mp4"

    def put(self, kind: str, *paths: Path) -> None:
        """Copy the clip of a kind to each path and make the folders."""
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self._kinds[kind], path)


def _write(path: Path, images: list[np.ndarray]) -> Path:
    height, width = images[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (width, height))
    for image in images:
        writer.write(image)
    writer.release()
    return path


def _beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    padded = np.full_like(left, 90)
    padded[: right.shape[0], : right.shape[1]] = right
    return np.hstack([left, padded])


def _right_half(image: np.ndarray) -> np.ndarray:
    black = np.zeros_like(image)
    return np.hstack([black, np.full_like(image, 255)])
