"""Hard cuts."""

import cv2
import numpy as np
from jaxtyping import UInt8

_THUMB = (32, 24)
_BINS = 8
_MIN_DIFFERENCE = 20.0
_MIN_HISTOGRAM_DISTANCE = 0.25


class ShotDetector:
    """Tells, frame by frame, whether another shot began.

    A cut changes both where the colours are (mean difference of 32 x 24 thumbnails) and which colours there
    are (one minus the intersection of 8 x 8 x 8 histograms); camera motion and gestures change only the
    former, and a flicker of exposure mostly the latter. A cut within one scene may
    pass: the tracker then decides, face by face.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None
        self._thumb = np.zeros(0)
        self._histogram = np.zeros(0)

    def is_cut(self, image: UInt8[np.ndarray, "h w 3"]) -> bool:
        """Whether this frame belongs to another shot than the one before; never for the first frame."""
        shape, self._shape = self._shape, image.shape
        before, histogram_before = self._thumb, self._histogram
        small = cv2.resize(image, (4 * _THUMB[0], 4 * _THUMB[1]), interpolation=cv2.INTER_AREA)
        self._thumb = cv2.resize(small, _THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
        counts = cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
        self._histogram = counts / counts.sum()
        if shape is None:
            return False
        if shape != image.shape:
            return True
        difference = np.abs(self._thumb - before).mean()
        distance = 1 - np.minimum(self._histogram, histogram_before).sum()
        return bool(difference > _MIN_DIFFERENCE and distance > _MIN_HISTOGRAM_DISTANCE)
