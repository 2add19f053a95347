"""Dense landmarks of the one person in a clip, frame by frame."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.networks import FaceDetector, FaceMesh, region_of_detection, region_of_mesh

_SMOOTHING = np.array([0.25, 0.5, 0.25])
_LOST = 0.5


def track_mesh(frames: UInt8[np.ndarray, "t h w 3"]) -> Float32[np.ndarray, "t 468 2"]:
    """Find landmarks in the first frame and follow them, in frame pixels; a binomial filter reduces the jitter.

    Raises:
        FakedetectError: A frame has no face.
    """
    detector, mesh = FaceDetector(), FaceMesh()
    points: list[Float[np.ndarray, "468 2"]] = []
    for index, frame in enumerate(frames):
        found = mesh(frame, region_of_mesh(points[-1])) if points else None
        if found is None or found.presence < _LOST:
            faces = detector(frame)
            if not len(faces.score):
                raise FakedetectError(
                    f"no face in frame {index}: every frame of a clip needs one, choose other footage"
                )
            largest = int(np.argmax((faces.box[:, 2:] - faces.box[:, :2]).prod(axis=1)))
            rough = mesh(frame, region_of_detection(faces.box[largest], faces.points[largest]))
            found = mesh(frame, region_of_mesh(rough.points))
        points.append(found.points)
    stacked = np.stack(points).reshape(len(points), -1)
    smooth = cv2.filter2D(stacked, -1, _SMOOTHING[:, None], borderType=cv2.BORDER_REPLICATE)
    return smooth.reshape(-1, 468, 2).astype(np.float32)
