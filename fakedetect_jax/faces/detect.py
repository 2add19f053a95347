"""Face detection with YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_WEIGHTS = Path(__file__).parent / "weights" / "yunet_2023mar.onnx"
_LONG_SIDE = 480
_SCORE_THRESHOLD = 0.6
_NMS_THRESHOLD = 0.3
_TOP_K = 500


class Detections(NamedTuple):
    """N detected faces in frame pixels; boxes of faces at the border may reach outside the frame."""

    box: Float32[np.ndarray, "n 4"]
    """x0, y0, x1, y1."""
    points: Float32[np.ndarray, "n 5 2"]
    """Eye at image left, eye at image right, nose tip, mouth corner at image left, at image right."""
    score: Float32[np.ndarray, " n"]


class FaceDetector:
    """YuNet on a copy of the frame with a long side of at most 480 px. Holds buffers: for one thread."""

    def __init__(self) -> None:
        with _errors_alone():
            self._net = cv2.FaceDetectorYN.create(
                str(_WEIGHTS), "", (_LONG_SIDE, _LONG_SIDE), _SCORE_THRESHOLD, _NMS_THRESHOLD, _TOP_K
            )

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> Detections:
        """Detect the faces of a BGR frame."""
        height, width = image.shape[:2]
        scale = min(1.0, _LONG_SIDE / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self._net.setInputSize(size)
        small = image if scale == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = self._net.detect(small)[1]
        if found is None:
            found = np.zeros((0, 15), np.float32)
        scales = np.array([width / size[0], height / size[1]], np.float32)
        corner, extent = found[:, :2] * scales, found[:, 2:4] * scales
        return Detections(
            box=np.concatenate([corner, corner + extent], axis=1),
            points=found[:, 4:14].reshape(-1, 5, 2) * scales,
            score=found[:, 14],
        )


@contextlib.contextmanager
def _errors_alone() -> Iterator[None]:
    """OpenCV 5 warns that its engine offers no choice of targets, which nobody made; version 4 has no such switch."""
    logging = getattr(cv2.utils, "logging", None)
    before = logging.setLogLevel(logging.LOG_LEVEL_ERROR) if logging else None
    yield
    if logging:
        logging.setLogLevel(before)
