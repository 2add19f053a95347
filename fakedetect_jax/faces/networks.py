"""The two networks of the face pipeline: YuNet finds faces, FaceMesh fits landmarks to them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from fakedetect_jax.faces import warp

_WEIGHTS = Path(__file__).parent / "weights"

_LONG_SIDE = 480
_SCORE_THRESHOLD = 0.6
_NMS_THRESHOLD = 0.3
_TOP_K = 500

_INPUT = 192
_DETECTION_SCALE = 1.25
_MESH_SCALE = 1.5
_MESH_EYE_LEFT, _MESH_EYE_RIGHT = 33, 263
# Mesh vertices in iBUG's order. Rows: jaw | brow, brow | nose ridge, nose base | eye, eye | outer lips | inner lips.
_IBUG_68 = np.array(
    [
        *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
        *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
        *(168, 197, 5, 4, 75, 97, 2, 326, 305),
        *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
        *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
        *(78, 82, 13, 312, 308, 317, 14, 87),
    ]
)
# The mesh's face oval from one end of the jaw over the top (10) to the other end.
_UPPER_RING = np.array([162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389])


class Detections(NamedTuple):
    """N detected faces in frame pixels.

    Attributes:
        box: x0, y0, x1, y1; boxes at the border may reach outside the frame.
        points: Left eye, right eye, tip of the nose, left and right corner of the mouth, as seen in the image.
        score: Confidence in [0, 1].
    """

    box: Float32[np.ndarray, "n 4"]
    points: Float32[np.ndarray, "n 5 2"]
    score: Float32[np.ndarray, " n"]


class FaceDetector:
    """YuNet (Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023).

    It sees a copy of the frame whose long side is at most 480 px. It holds buffers: use one for each thread.
    """

    def __init__(self) -> None:
        with _errors_alone():
            self._net = cv2.FaceDetectorYN.create(
                str(_WEIGHTS / "yunet_2023mar.onnx"),
                "",
                (_LONG_SIDE, _LONG_SIDE),
                _SCORE_THRESHOLD,
                _NMS_THRESHOLD,
                _TOP_K,
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


class Region(NamedTuple):
    """A square window of the frame that holds one face upright.

    Attributes:
        centre: In frame pixels.
        side: In frame pixels.
        angle: Radians by which the line of the eyes is turned clockwise on screen.
    """

    centre: Float[np.ndarray, " 2"]
    side: float
    angle: float


class Mesh(NamedTuple):
    """468 points in frame pixels, and the probability in [0, 1] that they lie on a face."""

    points: Float[np.ndarray, "468 2"]
    presence: float


class FaceMesh:
    """MediaPipe's FaceMesh (Kartynnik et al., arXiv 1907.06724). It holds buffers: use one for each thread."""

    def __init__(self) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(_WEIGHTS / "face_mesh_468.onnx"))
        self._outputs = self._net.getUnconnectedOutLayersNames()

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], region: Region) -> Mesh:
        """Fit the mesh to the face in `region` of a BGR frame."""
        affine = warp.similarity(region.centre, region.side, region.angle, _INPUT)
        face = warp.warp_square(image, affine, _INPUT, cv2.INTER_LINEAR)
        self._net.setInput(cv2.dnn.blobFromImage(face, 1 / 255, swapRB=True))
        presence, points = sorted(self._net.forward(self._outputs), key=np.size)
        # The network measures from the outer edge of its input, pixel coordinates from the centre of the first pixel.
        inside = points.reshape(468, 3)[:, :2].astype(np.float64) - 0.5
        logit = np.clip(presence.item(), -30, 30)
        return Mesh(
            warp.apply_affine(cv2.invertAffineTransform(affine), inside), float(1 / (1 + np.exp(-logit)))
        )


def region_of_detection(box: Float[np.ndarray, " 4"], points: Float[np.ndarray, "5 2"]) -> Region:
    """Return the first region of a face: 1.25 times the longer side of its detected box, level with the eyes."""
    box = box.astype(np.float64)
    side = _DETECTION_SCALE * max(box[2] - box[0], box[3] - box[1])
    return Region((box[:2] + box[2:]) / 2, float(side), _angle(points[0], points[1]))


def region_of_mesh(points: Float[np.ndarray, "468 2"]) -> Region:
    """Return the region for a second pass or the next frame: 1.5 times the mesh's extent, level with the eyes."""
    angle = _angle(points[_MESH_EYE_LEFT], points[_MESH_EYE_RIGHT])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    level = points @ turn.T
    low, high = level.min(axis=0), level.max(axis=0)
    return Region(turn.T @ ((low + high) / 2), float(_MESH_SCALE * (high - low).max()), angle)


def landmarks_81(points: Float[np.ndarray, "468 2"]) -> Float[np.ndarray, "81 2"]:
    """Reduce the mesh to the 81-point layout of `fakedetect_jax.faces.landmarks`.

    The jaw lies slightly inside dlib's. The points of the forehead are the upper ring of the mesh's face oval, which
    runs below the hairline. The ring ends where the jaw ends, so points 68 and 80 lie halfway to the next vertex: all
    81 points are distinct.
    """
    forehead = points[_UPPER_RING]
    forehead[[0, -1]] = (forehead[[0, -1]] + forehead[[1, -2]]) / 2
    return np.concatenate([points[_IBUG_68], forehead])


def _angle(left_eye: Float[np.ndarray, " 2"], right_eye: Float[np.ndarray, " 2"]) -> float:
    across = right_eye - left_eye
    return float(np.arctan2(across[1], across[0]))


@contextlib.contextmanager
def _errors_alone() -> Iterator[None]:
    """Silence OpenCV 5's warning that its engine offers no choice of targets; OpenCV 4 has no such switch."""
    logging = getattr(cv2.utils, "logging", None)
    before = logging.setLogLevel(logging.LOG_LEVEL_ERROR) if logging else None
    yield
    if logging:
        logging.setLogLevel(before)
