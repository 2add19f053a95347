"""What the forgeries know about the 468-point face mesh: its outline, and masks and alignments made from it."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int

# MediaPipe's face oval, clockwise from the top of the forehead.
OVAL = np.array(
    [
        *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
        *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
    ]
)
_BROWS = np.array([70, 63, 105, 66, 107, 336, 296, 334, 293, 300])
_JAW = OVAL[7:30]
_MID_BROW, _NOSE_TIP = 9, 1
_BROW_MARGIN = 0.35
EYE_CORNERS = np.array([33, 133, 362, 263])


def eye_distance(points: Float[np.ndarray, "468 2"]) -> float:
    """Return the distance between the middles of the two eyes, in pixels."""
    corners = points[EYE_CORNERS]
    return float(np.linalg.norm(corners[:2].mean(axis=0) - corners[2:].mean(axis=0)))


def polygon_mask(points: Float[np.ndarray, "n 2"], size: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    """Return a mask that is 1 inside the convex hull of the points and 0 outside; `size` is (height, width)."""
    mask = np.zeros(size, np.uint8)
    hull = cv2.convexHull(np.rint(points * 16).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, 255, cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / 255


def inner_face_mask(
    points: Float[np.ndarray, "468 2"], size: tuple[int, int], *, inset: float
) -> Float32[np.ndarray, "h w"]:
    """Return a mask of the hull of jaw and brows, shrunk by `inset` eye distances; `size` is (height, width).

    The forehead above the brows stays outside, because the donor's hair would come along with it.
    """
    lift = _BROW_MARGIN * (points[_MID_BROW] - points[_NOSE_TIP])
    mask = polygon_mask(np.concatenate([points[_JAW], points[_BROWS] + lift]), size)
    radius = max(1, round(inset * eye_distance(points)))
    # The frame's own border must erode too; otherwise a face that touches it gets a hard edge.
    return cv2.erode(
        mask,
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )


def feather(mask: Float32[np.ndarray, "h w"], sigma: float) -> Float32[np.ndarray, "h w"]:
    """Blur a mask by a Gaussian, sigma in pixels."""
    return cv2.GaussianBlur(mask, (0, 0), max(sigma, 0.5))


def face_window(points: Float[np.ndarray, "468 2"], size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns around a face plus a quarter of an eye distance; `size` is (height, width)."""
    margin = eye_distance(points) / 4
    low = np.maximum(np.floor(points.min(axis=0) - margin), 0).astype(int)
    high = np.minimum(np.ceil(points.max(axis=0) + margin), np.array(size[::-1])).astype(int)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def similarity(
    source: Float[np.ndarray, "n 2"], destination: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "2 3"]:
    """Fit rotation, scale and shift from source to destination by least squares.

    In the complex plane, this is one linear regression; for the general case see Umeyama, "Least-squares estimation of
    transformation parameters between two point patterns", PAMI 1991.

    Returns:
        The affine that maps (x, y, 1) of the source to (x, y) of the destination.
    """
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (source, destination))
    turn = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean()).real
    shift = b.mean() - turn * a.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def triangles(points: Float[np.ndarray, "n 2"]) -> Int[np.ndarray, "m 3"]:
    """Triangulate points after Delaunay; a row holds the indices of a triangle's three corners."""
    low = np.floor(points.min(axis=0)).astype(int) - 2
    extent = np.ceil(points.max(axis=0)).astype(int) + 3 - low
    subdivision = cv2.Subdiv2D((int(low[0]), int(low[1]), int(extent[0]), int(extent[1])))
    subdivision.insert(points.astype(np.float32).tolist())
    corners = np.asarray(subdivision.getTriangleList()).reshape(-1, 3, 1, 2)
    return np.linalg.norm(corners - points.astype(np.float32), axis=-1).argmin(axis=-1)
