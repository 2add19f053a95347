"""What a face looks like: coarsely from frame to frame, and in more detail from shot to shot."""

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from fakedetect_jax.faces import warp
from fakedetect_jax.faces.mesh import Mesh, region_of_mesh

_THUMBNAIL = 24
_LOOK = 64
_HOG = cv2.HOGDescriptor((_LOOK, _LOOK), (16, 16), (8, 8), (8, 8), 9)
LOOK_LENGTH = _HOG.getDescriptorSize()
_LEFT_EYE, _RIGHT_EYE = slice(36, 42), slice(42, 48)


def thumbnail(image: UInt8[np.ndarray, "h w 3"], mesh: Mesh) -> Float[np.ndarray, "24 24"]:
    """The levelled face in grey, with mean 0 and norm 1: the product of two is their correlation."""
    region = region_of_mesh(mesh.points)
    window = warp.similarity(region.centre, region.side / 1.5, region.angle, _THUMBNAIL)
    face = warp.warp_square(image, window, _THUMBNAIL, cv2.INTER_LINEAR)
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY).astype(np.float64)
    grey -= grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-6)


def look(
    image: UInt8[np.ndarray, "h w 3"], landmarks: Float[np.ndarray, "81 2"]
) -> Float32[np.ndarray, " d"]:
    """Histograms of gradients of the levelled face (Dalal and Triggs, 2005), of norm 1.

    Unlike a thumbnail, they change little with the light: they tell people apart across cuts.
    """
    across = landmarks[_RIGHT_EYE].mean(axis=0) - landmarks[_LEFT_EYE].mean(axis=0)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    window = warp.similarity(
        (low + high) / 2, float((high - low).max()), float(np.arctan2(across[1], across[0])), _LOOK
    )
    face = warp.warp_square(image, window, _LOOK, cv2.INTER_LINEAR)
    histograms = np.ravel(_HOG.compute(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)))
    return histograms / max(float(np.linalg.norm(histograms)), 1e-6)
