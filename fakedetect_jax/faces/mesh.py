"""Landmarks: MediaPipe's FaceMesh (Kartynnik et al., arXiv 1907.06724), reduced to the 81-point layout."""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fakedetect_jax.faces import warp

_WEIGHTS = Path(__file__).parent / "weights" / "face_mesh_468.onnx"
_INPUT = 192
_EYE_LEFT, _EYE_RIGHT = 33, 263
_DETECTION_SCALE = 1.25
_MESH_SCALE = 1.5

# Rows: jaw | brow, brow | nose ridge, nose bottom | eye, eye | outer lips | inner lips, in iBUG order.
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
# The face oval from one end of the jaw over its top (10) to the other end.
_UPPER_RING = np.array([162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389])


class Region(NamedTuple):
    """A square window of the frame that holds one face upright."""

    centre: Float[np.ndarray, " 2"]
    side: float
    angle: float
    """Radians by which the eye line is turned clockwise on screen."""


class Mesh(NamedTuple):
    """468 points in frame pixels, and the probability in [0, 1] that they lie on a face."""

    points: Float[np.ndarray, "468 2"]
    presence: float


class FaceMesh:
    """The landmark net. Holds buffers: for one thread."""

    def __init__(self) -> None:
        self._net = cv2.dnn.readNetFromONNX(str(_WEIGHTS))
        self._outputs = self._net.getUnconnectedOutLayersNames()

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], region: Region) -> Mesh:
        """Fit the mesh to the face in `region` of a BGR frame."""
        affine = warp.similarity(region.centre, region.side, region.angle, _INPUT)
        face = warp.warp_square(image, affine, _INPUT, cv2.INTER_LINEAR)
        self._net.setInput(cv2.dnn.blobFromImage(face, 1 / 255, swapRB=True))
        presence, points = sorted(self._net.forward(self._outputs), key=np.size)
        # The net measures from the outer edge of its input, pixels from the centre of the first one.
        inside = points.reshape(468, 3)[:, :2].astype(np.float64) - 0.5
        logit = np.clip(presence.item(), -30, 30)
        return Mesh(
            warp.apply_affine(cv2.invertAffineTransform(affine), inside), float(1 / (1 + np.exp(-logit)))
        )


def region_of_detection(box: Float[np.ndarray, " 4"], points: Float[np.ndarray, "5 2"]) -> Region:
    """The first region: 1.25 times the longer side of a detector's box, level with its eyes."""
    box = box.astype(np.float64)
    side = _DETECTION_SCALE * max(box[2] - box[0], box[3] - box[1])
    return Region((box[:2] + box[2:]) / 2, float(side), _angle(points[0], points[1]))


def region_of_mesh(points: Float[np.ndarray, "468 2"]) -> Region:
    """The region for a second pass or the next frame: 1.5 times the extent, level with the eyes."""
    angle = _angle(points[_EYE_LEFT], points[_EYE_RIGHT])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    level = points @ turn.T
    low, high = level.min(axis=0), level.max(axis=0)
    return Region(turn.T @ ((low + high) / 2), float(_MESH_SCALE * (high - low).max()), angle)


def landmarks_81(points: Float[np.ndarray, "468 2"]) -> Float[np.ndarray, "81 2"]:
    """Reduce the mesh to the 81-point layout.

    0-67 follow iBUG's order: 0-16 jaw, 17-21 and 22-26 brows, 27-30 nose ridge, 31-35 nose bottom, 36-41 and
    42-47 eyes, 48-59 outer lips, 60-67 inner lips. The jaw lies slightly inside dlib's. 68-80 are the upper
    ring of the mesh's face oval from image left to image right (of an upright face), as the mesh gives it:
    below the hairline. The ring's ends are the jaw's ends, so 68 and 80 lie halfway to the next vertex: all
    81 points are distinct.
    """
    forehead = points[_UPPER_RING]
    forehead[[0, -1]] = (forehead[[0, -1]] + forehead[[1, -2]]) / 2
    return np.concatenate([points[_IBUG_68], forehead])


def _angle(left_eye: Float[np.ndarray, " 2"], right_eye: Float[np.ndarray, " 2"]) -> float:
    across = right_eye - left_eye
    return float(np.arctan2(across[1], across[0]))
