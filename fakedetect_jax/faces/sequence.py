"""A tracked face: its crops, and the spool that keeps them on disk; and all tracked faces of a video."""

import dataclasses
import os
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, overload

import cv2
import numpy as np
from jaxtyping import Float32, Int32, UInt8

from fakedetect_jax.faces.landmarks import LANDMARKS


@dataclasses.dataclass(frozen=True, eq=False)
class FaceSequence:
    """One face followed through a video: square crops, and what it takes to draw results back on the video.

    Pixel coordinates are OpenCV's: (x, y), with pixel centres at integers. T counts the kept frames. Frames in which
    the face was lost are absent and show as gaps in `frame_index`.

    Attributes:
        track: Number of the track; 0 is the most important of the video.
        person: Number of the person; 0 is the most important of the video. A person has a track in each shot, and no
            two tracks of a person share a frame.
        video_frames: Number of the video's frames that were to be kept, with or without this face.
        fps: Frames a second of the source video, whichever frames are kept.
        frame_size: (height, width) of the upright source frame in pixels.
        frames: T JPEG files (4:4:4) of the square crops.
        frame_index: [T] position in the source video, rising, from 0.
        timestamp: [T] seconds since the start of the video.
        box: [T, 4] x0, y0, x1, y1 of the landmarks in the source frame, neither smoothed nor clipped.
        landmarks: [T, 81, 2] in crop pixels, in the layout of `fakedetect_jax.faces.landmarks`.
        confidence: [T] probability in [0, 1] that the landmarks lie on a face.
        affine: [T, 2, 3] maps source (x, y, 1) to crop (x, y).

    Raises:
        ValueError: An array whose dtype or shape does not fit.
    """

    track: int
    person: int
    video_frames: int
    fps: float
    frame_size: tuple[int, int]
    frames: Sequence[bytes]
    frame_index: Int32[np.ndarray, " t"]
    timestamp: Float32[np.ndarray, " t"]
    box: Float32[np.ndarray, "t 4"]
    landmarks: Float32[np.ndarray, "t 81 2"]
    confidence: Float32[np.ndarray, " t"]
    affine: Float32[np.ndarray, "t 2 3"]

    def __post_init__(self) -> None:
        length = len(self.frames)
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "frame_index": (np.int32, (length,)),
            "timestamp": (np.float32, (length,)),
            "box": (np.float32, (length, 4)),
            "landmarks": (np.float32, (length, LANDMARKS, 2)),
            "confidence": (np.float32, (length,)),
            "affine": (np.float32, (length, 2, 3)),
        }
        for name, (dtype, shape) in shapes.items():
            value = getattr(self, name)
            if value.dtype != dtype or value.shape != shape:
                raise ValueError(
                    f"FaceSequence.{name} is {value.dtype}{list(value.shape)}; with {length} frames it must "
                    f"be {np.dtype(dtype)}{list(shape)}"
                )

    def __len__(self) -> int:
        return len(self.frames)

    def decode(self, position: int) -> UInt8[np.ndarray, "s s 3"]:
        """Decode the crop at `position` of the sequence to RGB."""
        encoded = np.frombuffer(self.frames[position], np.uint8)
        return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@dataclasses.dataclass(frozen=True, eq=False)
class ExtractedFaces(Sequence[FaceSequence]):
    """The face tracks of a video, the most important one first, and how much of the video could be read.

    Attributes:
        tracks: The tracks.
        decoded: Number of frames that were decoded.
        damage: What of the video could not be read, with the number of frames that could, or ''.
    """

    tracks: list[FaceSequence]
    decoded: int
    damage: str

    def __len__(self) -> int:
        return len(self.tracks)

    @overload
    def __getitem__(self, index: int) -> FaceSequence: ...
    @overload
    def __getitem__(self, index: slice) -> list[FaceSequence]: ...
    def __getitem__(self, index: int | slice) -> FaceSequence | list[FaceSequence]:
        return self.tracks[index]


class Spool:
    """One temporary file, which the system removes with the process however it ends.

    Args:
        folder: Where there is room for it.
    """

    def __init__(self, folder: Path) -> None:
        self.file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (lives as long as its frames)
        self.lock = threading.Lock()


class SpooledFrames(Sequence[bytes]):
    """Encoded crops in a spool instead of memory; several may share one, and several threads may read."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._spans: list[tuple[int, int]] = []

    def append(self, data: bytes) -> None:
        """Add one at the end."""
        with self._spool.lock:
            start = self._spool.file.seek(0, os.SEEK_END)
            self._spool.file.write(data)
        self._spans.append((start, len(data)))

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        start, size = self._spans[index]
        with self._spool.lock:
            self._spool.file.seek(start)
            return self._spool.file.read(size)
