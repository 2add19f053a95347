"""Landmark-mesh face swap: every triangle of the donor's face mesh moves onto the target's."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from fakedetect_jax.data_builders.mini_forensics.forgeries import colour
from fakedetect_jax.data_builders.mini_forensics.forgeries.expression import INNER_LIPS
from fakedetect_jax.data_builders.mini_forensics.forgeries.face_shape import (
    eye_distance,
    face_window,
    feather,
    inner_face_mask,
    polygon_mask,
    similarity,
    triangles,
)

_INSET = 0.12  # eye distances between the face oval and the mask
_FEATHER = 0.08  # sigma of the seam, in eye distances


def mesh_swap(
    target_frames: UInt8[np.ndarray, "t h w 3"],
    target_landmarks: Float[np.ndarray, "t 468 2"],
    donor_frames: UInt8[np.ndarray, "s h2 w2 3"],
    donor_landmarks: Float[np.ndarray, "s 468 2"],
    *,
    seed: int,
) -> UInt8[np.ndarray, "t h w 3"]:
    """Put the donor's face on the target by a piecewise-affine warp, colour transfer and a feathered mask.

    This is the pipeline of FaceSwap (github.com/MarekKowalski/FaceSwap, the graphics-based method of FaceForensics++,
    Rössler et al., ICCV 2019) with the Delaunay triangles of the image points in place of a rendered 3-D model. The
    colours follow Reinhard et al., "Color transfer between images", 2001.

    Args:
        target_frames: The frames to forge, BGR.
        target_landmarks: Their landmarks in pixels.
        donor_frames: The donor's clip, BGR, played in a loop from a frame that the seed chooses.
        donor_landmarks: Its landmarks in pixels.
        seed: Decides where the donor's clip begins.

    Returns:
        The forged frames, BGR.
    """
    start = int(np.random.default_rng(seed).integers(len(donor_frames)))
    mesh = triangles(_mean_shape(target_landmarks[0], donor_landmarks[start]))
    statistics = None
    frames = []
    for t, (frame, points) in enumerate(zip(target_frames, target_landmarks, strict=True)):
        s = (start + t) % len(donor_frames)
        window = face_window(points, frame.shape[:2])
        patch, points = frame[window], points - [window[1].start, window[0].start]
        mask = inner_face_mask(points, patch.shape[:2], inset=_INSET)
        warped = _warp_mesh(donor_frames[s], donor_landmarks[s], points, mesh, patch.shape[:2])
        now = colour.statistics(patch, warped, mask)
        statistics = now if statistics is None else colour.blend(statistics, now)
        coloured = colour.transfer(warped, statistics)
        alpha = feather(mask, _FEATHER * eye_distance(points))
        # An open mouth keeps its own inside; the lips of a closed mouth would be smeared over it.
        alpha = (alpha * (1 - feather(polygon_mask(points[INNER_LIPS], mask.shape), 1)))[..., None]
        out = frame.copy()
        out[window] = np.rint(alpha * coloured + (1 - alpha) * patch)
        frames.append(out)
    return np.stack(frames)


def _mean_shape(
    target: Float[np.ndarray, "468 2"], donor: Float[np.ndarray, "468 2"]
) -> Float[np.ndarray, "468 2"]:
    """Return the shape half-way between the aligned faces, whose triangles are well shaped in both."""
    onto = similarity(donor, target)
    return (target + donor @ onto[:, :2].T + onto[:, 2]) / 2


def _warp_mesh(
    donor: UInt8[np.ndarray, "h2 w2 3"],
    donor_points: Float[np.ndarray, "468 2"],
    points: Float[np.ndarray, "468 2"],
    mesh: Int[np.ndarray, "m 3"],
    size: tuple[int, int],
) -> UInt8[np.ndarray, "h w 3"]:
    owner = np.full(size, -1, np.float32)
    for i, corners in enumerate(np.rint(points[mesh] * 16).astype(np.int32)):
        cv2.fillConvexPoly(owner, corners, i, shift=4)
    # A pixel that rounding left between two triangles goes to a neighbour.
    owner = np.where(owner < 0, cv2.dilate(owner, np.ones((3, 3))), owner).astype(np.int32)
    # Each triangle's affine maps the target's pixels to the donor's: [x, y, 1] @ affine.
    homogeneous = np.concatenate([points[mesh], np.ones((len(mesh), 3, 1))], axis=2)
    homogeneous += 1e-6 * np.eye(3)  # a triangle seen edge-on has no inverse
    affine = np.linalg.solve(homogeneous, donor_points[mesh]).astype(np.float32)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    chosen = affine[owner]
    where = x[..., None] * chosen[:, :, 0] + y[..., None] * chosen[:, :, 1] + chosen[:, :, 2]
    # A triangle seen edge-on extrapolates; its own box in the donor is the limit.
    low, high = (edge(donor_points[mesh], axis=1).astype(np.float32) for edge in (np.min, np.max))
    where = np.clip(where, low[owner], high[owner])
    return cv2.remap(donor, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
