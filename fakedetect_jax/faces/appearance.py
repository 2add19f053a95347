"""What a face looks like: coarsely from frame to frame, and in more detail from shot to shot."""

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from fakedetect_jax.faces import warp
from fakedetect_jax.faces.landmarks import LEFT_EYE, RIGHT_EYE
from fakedetect_jax.faces.mesh import Mesh, region_of_mesh

_THUMBNAIL = 24
_CELLS, _CELL = 8, 8  # cells a side, pixels a cell
_ORIENTATIONS = 9
_CLIP = 0.2
LOOK_LENGTH = 4 * _ORIENTATIONS * (_CELLS - 1) ** 2


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
    """Histograms of oriented gradients of the levelled face (Dalal and Triggs, 2005), of norm 1.

    Unlike a thumbnail, they change little with the light: they tell people apart across cuts.
    """
    across = landmarks[RIGHT_EYE].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    window = warp.similarity(
        (low + high) / 2, float((high - low).max()), float(np.arctan2(across[1], across[0])), _CELLS * _CELL
    )
    face = warp.warp_square(image, window, _CELLS * _CELL, cv2.INTER_LINEAR)
    cells = _cell_histograms(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY))
    blocks = np.concatenate([cells[:-1, :-1], cells[:-1, 1:], cells[1:, :-1], cells[1:, 1:]], axis=-1)
    blocks = np.minimum(_unit(blocks), _CLIP)  # no single edge decides
    return _unit(_unit(blocks).ravel()).astype(np.float32)


def _cell_histograms(grey: UInt8[np.ndarray, "s s"]) -> Float[np.ndarray, "c c k"]:
    """Strength of the gradients of each cell by orientation; a gradient between two orientations counts for both."""
    x, y = (cv2.Sobel(grey, cv2.CV_32F, *order, ksize=1) for order in ((1, 0), (0, 1)))
    place = np.mod(np.arctan2(y, x) / np.pi * _ORIENTATIONS, _ORIENTATIONS)
    apart = np.abs(place[..., None] - np.arange(_ORIENTATIONS))
    shares = np.maximum(0.0, 1.0 - np.minimum(apart, _ORIENTATIONS - apart))
    strength = shares * np.hypot(x, y)[..., None]
    return strength.reshape(_CELLS, _CELL, _CELLS, _CELL, _ORIENTATIONS).sum(axis=(1, 3))


def _unit(values: Float[np.ndarray, "*s d"]) -> Float[np.ndarray, "*s d"]:
    return values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-6)
