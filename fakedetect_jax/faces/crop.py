"""Stable crops: per-frame boxes smoothed over a short, centred window, in one pass and bounded memory."""

import dataclasses
from collections import deque
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fakedetect_jax.faces import warp
from fakedetect_jax.faces.spool import Spool, SpooledFrames
from fakedetect_jax.faces.track import Face
from fakedetect_jax.faces.video import Frame

LAG = 6
"""Source frames on either side that smooth a crop's window; also how long frames are held back."""

_SIGMA = 2.5
JPEG_QUALITY = 95
_CHROMA_444 = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444


@dataclasses.dataclass
class CroppedTrack:
    """One track's frames; the crops of those that are kept (places in `faces`) follow `LAG` source frames later."""

    frame_size: tuple[int, int]
    frame_index: list[int] = dataclasses.field(default_factory=list)
    timestamp: list[float] = dataclasses.field(default_factory=list)
    faces: list[Face] = dataclasses.field(default_factory=list)
    kept: list[int] = dataclasses.field(default_factory=list)
    frames: list[bytes] | SpooledFrames = dataclasses.field(default_factory=list)
    affine: list[Float[np.ndarray, "2 3"]] = dataclasses.field(default_factory=list)
    passed: int = 0


class Cropper:
    """Collects frames with their faces and cuts each face out once its neighbours in time are known.

    Args:
        size, margin, quality: of the crops, as in `extract`.
        keep: whether a source frame's crops are wanted.
        spool: where crops are kept; in memory if None.
    """

    def __init__(
        self,
        size: int,
        margin: float,
        *,
        quality: int = JPEG_QUALITY,
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
        """Take the next frame; crops of frames at least LAG earlier get made."""
        for face in faces:
            track = self.tracks.get(face.track) or self._begin(face.track, frame.image.shape[:2])
            track.frame_index.append(frame.index)
            track.timestamp.append(frame.timestamp)
            track.faces.append(face)
        self._waiting.append((frame, faces))
        while self._waiting[0][0].index <= frame.index - LAG:
            self._emit(*self._waiting.popleft())

    def finish(self) -> None:
        """Make the crops still outstanding."""
        while self._waiting:
            self._emit(*self._waiting.popleft())

    def _begin(self, number: int, frame_size: tuple[int, int]) -> CroppedTrack:
        frames = SpooledFrames(self._spool) if self._spool else []
        self.tracks[number] = CroppedTrack(frame_size, frames=frames)
        return self.tracks[number]

    def _emit(self, frame: Frame, faces: list[Face]) -> None:
        for face in faces:
            track = self.tracks[face.track]
            position = track.passed
            track.passed += 1
            if not self._keep(frame.index):
                continue
            near = slice(max(0, position - LAG), position + LAG + 1)
            window = smooth_window(
                np.array(track.frame_index[near]),
                np.array([face.box for face in track.faces[near]]),
                at=frame.index,
            )
            affine = crop_affine(*window, size=self._size, margin=self._margin)
            crop = warp.warp_square(frame.image, affine, self._size, cv2.INTER_CUBIC)
            track.kept.append(position)
            track.affine.append(affine)
            track.frames.append(encode(crop, self._quality))


def smooth_window(
    index: Float[np.ndarray, " n"], box: Float[np.ndarray, "n 4"], *, at: int
) -> tuple[Float[np.ndarray, " 2"], float]:
    """The smoothed centre and longer side of a face at source frame `at`, from boxes of the frames around it.

    A line is fitted through centre and log side with Gaussian weights in time (sigma 2.5 source frames, cut
    at LAG): inside a track this is the Gaussian mean; at its ends, or beside a gap, a moving face is not
    lagged behind.
    """
    time = (index - at).astype(np.float64)
    near = np.abs(time) <= LAG
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
    """Source to crop pixels: a square of (1 + 2 * margin) times `side` around `centre` fills the crop."""
    return warp.similarity(centre, (1 + 2 * margin) * side, 0.0, size)


def encode(image: UInt8[np.ndarray, "s s 3"], quality: int = JPEG_QUALITY) -> bytes:
    """A BGR image as JPEG, chroma not subsampled."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _CHROMA_444]
    return cv2.imencode(".jpg", image, options)[1].tobytes()
