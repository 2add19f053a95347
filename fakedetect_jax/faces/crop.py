"""Stable crops: boxes smoothed over a short, centred window of frames, in one pass and bounded memory."""

from __future__ import annotations

import dataclasses
from array import array
from collections import deque
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from fakedetect_jax.faces import warp
from fakedetect_jax.faces.appearance import DESCRIPTOR_LENGTH, descriptor
from fakedetect_jax.faces.sequence import Spool, SpooledFrames
from fakedetect_jax.faces.tracking import Face
from fakedetect_jax.faces.video import Frame

LAG = 0.24
"""Seconds on either side that smooth a crop's window; frames are held back for as long."""

_SIGMA = 0.1
# Time stamps are rounded.
_ROUNDING = 1e-3
# Time stamps of damaged files may hardly rise; memory must not depend on them.
_MOST_HELD = 64
# A descriptor costs about as much as a crop, and hardly changes from frame to frame.
_DESCRIBE_EVERY = 5
_CHROMA_444 = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444


@dataclasses.dataclass
class CroppedTrack:
    """One track: its kept frames, and what the crops of its next frames need.

    Frames are kept `LAG` seconds after they were added.

    Attributes:
        frame_size: (height, width) of the source in pixels.
        frames: Encoded crops of the kept frames.
        frame_index: Their numbers in the source.
        timestamp: Their times in seconds.
        box: Their boxes in the source.
        landmarks: Their landmarks in crop pixels.
        confidence: Of their landmarks.
        affine: From source to crop pixels.
        seen: Numbers of all frames.
        importance: Sum of the box areas of all frames.
        descriptor: Sum of the face's descriptors in every fifth frame.
        near: Times and boxes of the last frames.
        passed: Number of frames passed on.
    """

    frame_size: tuple[int, int]
    frames: list[bytes] | SpooledFrames
    frame_index: array[int] = dataclasses.field(default_factory=lambda: array("i"))
    timestamp: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    box: list[Float32[np.ndarray, " 4"]] = dataclasses.field(default_factory=list)
    landmarks: list[Float32[np.ndarray, "81 2"]] = dataclasses.field(default_factory=list)
    confidence: array[float] = dataclasses.field(default_factory=lambda: array("d"))
    affine: list[Float32[np.ndarray, "2 3"]] = dataclasses.field(default_factory=list)
    seen: array[int] = dataclasses.field(default_factory=lambda: array("i"))
    importance: float = 0.0
    descriptor: Float[np.ndarray, " d"] = dataclasses.field(
        default_factory=lambda: np.zeros(DESCRIPTOR_LENGTH)
    )
    near: deque[tuple[float, Float[np.ndarray, " 4"]]] = dataclasses.field(default_factory=deque)
    passed: int = 0


class Cropper:
    """Collects frames with their faces, and cuts out each face once its neighbours in time are known.

    Args:
        size: Side of the crops in pixels.
        margin: As in `Extraction`.
        quality: JPEG quality of the crops.
        keep: Whether the crops of a source frame are wanted.
        spool: Where crops are kept; in memory if None.
    """

    def __init__(
        self,
        size: int,
        margin: float,
        *,
        quality: int,
        keep: Callable[[int], bool] = lambda index: True,
        spool: Spool | None = None,
    ) -> None:
        self.tracks: dict[int, CroppedTrack] = {}
        self._size = size
        self._margin = margin
        self._quality = quality
        self._keep = keep
        self._spool = spool
        self._waiting: deque[tuple[Frame, list[Face]]] = deque()

    def add(self, frame: Frame, faces: list[Face]) -> None:
        """Take the next frame, and make the crops of frames more than LAG earlier."""
        for face in faces:
            track = self.tracks.get(face.track) or self._begin(face.track, frame.image.shape[:2])
            track.seen.append(frame.index)
            track.importance += float(np.prod(face.box[2:] - face.box[:2]))
            track.near.append((frame.timestamp, face.box))
        self._waiting.append((frame, faces))
        due = frame.timestamp - LAG + _ROUNDING
        while self._waiting[0][0].timestamp <= due or len(self._waiting) > _MOST_HELD:
            self._emit(*self._waiting.popleft())

    def finish(self) -> None:
        """Make the remaining crops."""
        while self._waiting:
            self._emit(*self._waiting.popleft())

    def _begin(self, number: int, frame_size: tuple[int, int]) -> CroppedTrack:
        frames = SpooledFrames(self._spool) if self._spool else []
        self.tracks[number] = CroppedTrack(frame_size, frames)
        return self.tracks[number]

    def _emit(self, frame: Frame, faces: list[Face]) -> None:
        for face in faces:
            track = self.tracks[face.track]
            if track.passed % _DESCRIBE_EVERY == 0:
                track.descriptor += descriptor(frame.image, face.landmarks)
            track.passed += 1
            while track.near[0][0] < frame.timestamp - LAG - _ROUNDING:
                track.near.popleft()
            if self._keep(frame.index):
                self._cut_out(frame, face, track)

    def _cut_out(self, frame: Frame, face: Face, track: CroppedTrack) -> None:
        times, boxes = zip(*track.near, strict=True)
        window = smooth_window(np.array(times), np.array(boxes), at=frame.timestamp)
        affine = crop_affine(*window, size=self._size, margin=self._margin)
        crop = warp.warp_square(frame.image, affine, self._size, cv2.INTER_CUBIC)
        track.frames.append(encode(crop, self._quality))
        track.frame_index.append(frame.index)
        track.timestamp.append(frame.timestamp)
        track.box.append(face.box.astype(np.float32))
        track.landmarks.append(warp.apply_affine(affine, face.landmarks).astype(np.float32))
        track.confidence.append(face.confidence)
        track.affine.append(affine.astype(np.float32))


def smooth_window(
    time: Float[np.ndarray, " n"], box: Float[np.ndarray, "n 4"], *, at: float
) -> tuple[Float[np.ndarray, " 2"], float]:
    """Return the smoothed centre and longer side of a face at the time `at`.

    A line is fitted through centre and log side with Gaussian weights in time (sigma 0.1 s, cut off at LAG), so that
    videos of 25 and of 60 frames a second are smoothed alike. Inside a track this is the Gaussian mean; at its ends or
    beside a gap, the window does not lag behind a moving face.

    Args:
        time: Seconds of the frames around `at`.
        box: Their boxes x0, y0, x1, y1.
        at: Seconds of the frame.
    """
    time = time - at
    near = np.abs(time) <= LAG + _ROUNDING
    time, box = time[near], box[near].astype(np.float64)
    side = (box[:, 2:] - box[:, :2]).max(axis=1)
    values = np.column_stack([(box[:, :2] + box[:, 2:]) / 2, np.log(side)])
    weight = np.exp(-0.5 * (time / _SIGMA) ** 2)
    weight /= weight.sum()
    mean_time, mean = weight @ time, weight @ values
    spread = weight @ (time - mean_time) ** 2
    slope = (weight * (time - mean_time)) @ values / spread if spread > 0 else np.zeros(3)
    smooth = mean - slope * mean_time
    return smooth[:2], float(np.exp(smooth[2]))


def crop_affine(
    centre: Float[np.ndarray, " 2"], side: float, *, size: int, margin: float
) -> Float[np.ndarray, "2 3"]:
    """Return the affine to crop pixels: a square of (1 + 2 * margin) times `side` around `centre` fills the crop."""
    return warp.similarity(centre, (1 + 2 * margin) * side, 0.0, size)


def encode(image: UInt8[np.ndarray, "s s 3"], quality: int) -> bytes:
    """Encode a BGR image as JPEG without chroma subsampling."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _CHROMA_444]
    return cv2.imencode(".jpg", image, options)[1].tobytes()
