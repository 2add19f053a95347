"""How far mouth and eyes are open, measured on one face mesh and set on another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from fakedetect_jax.data_builders.mini_forensics.forgeries.face_shape import eye_distance

OUTER_LIPS = np.array(
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
)
INNER_LIPS = np.array(
    [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191]
)
# The lower lip, and below it the chin; each moves down by a share of the jaw's drop.
_LOWER_LIP = np.array([95, 88, 178, 87, 14, 317, 402, 318, 324, 146, 91, 181, 84, 17, 314, 405, 321, 375])
_CHIN = np.array([200, 199, 18, 83, 313, 182, 406, 201, 421, 208, 428])
_CORNERS = np.array([61, 78, 291, 308])
# The upper lids and, in the same columns, the lower lids.
_LIDS = np.array(
    [
        [246, 161, 160, 159, 158, 157, 173, 466, 388, 387, 386, 385, 384, 398],
        [7, 163, 144, 145, 153, 154, 155, 249, 390, 373, 374, 380, 381, 382],
    ]
)
_NOSE_AND_CHEEKS = np.array([1, 2, 98, 327, 6, 197, 195, 4, 50, 280, 205, 425, 36, 266, 117, 346, 101, 330])
_BROWS = np.array([70, 63, 105, 66, 107, 300, 293, 334, 296, 336])


class Expression(NamedTuple):
    """The openings of mouth and eyes in every frame, in eye distances."""

    mouth_open: Float[np.ndarray, " t"]
    mouth_width: Float[np.ndarray, " t"]
    eyes_open: Float[np.ndarray, " t"]


def measure(landmarks: Float[np.ndarray, "t 468 2"]) -> Expression:
    """Measure the expression in every frame of a clip."""
    unit = np.array([eye_distance(points) for points in landmarks])
    lids = np.linalg.norm(landmarks[:, _LIDS[0]] - landmarks[:, _LIDS[1]], axis=2)
    return Expression(
        np.linalg.norm(landmarks[:, 13] - landmarks[:, 14], axis=1) / unit,
        np.linalg.norm(landmarks[:, 61] - landmarks[:, 291], axis=1) / unit,
        lids.max(axis=1) / unit,
    )


def control_points(oval: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """Return the mesh points that a warp has to respect: lips, chin, lids, and what stays fixed around them."""
    moving = np.concatenate([OUTER_LIPS, INNER_LIPS, _CHIN, _LIDS.ravel()])
    return np.concatenate([moving, _NOSE_AND_CHEEKS, _BROWS, [33, 133, 362, 263], oval])


def pose(
    points: Float[np.ndarray, "468 2"], *, mouth_drop: float, mouth_widen: float, eye_scale: float
) -> Float64[np.ndarray, "468 2"]:
    """Move lips, chin and upper lids of one face.

    Args:
        points: The landmarks in pixels.
        mouth_drop: How far the lower lip moves down the face's own axis, in eye distances.
        mouth_widen: How far each corner of the mouth moves outwards, in eye distances.
        eye_scale: The factor on the opening between the lids.

    Returns:
        The moved landmarks, in pixels.
    """
    unit = eye_distance(points)
    across = points[[362, 263]].mean(axis=0) - points[[33, 133]].mean(axis=0)
    across = across / np.linalg.norm(across)
    down = np.array([-across[1], across[0]])
    moved = points.astype(np.float64)
    middle = points[[13, 14]].mean(axis=0)
    half_width = np.linalg.norm(points[61] - points[291]) / 2
    # The lip bows: its middle takes all of the drop, its corners none.
    along = np.abs((points[_LOWER_LIP] - middle) @ across) / half_width
    moved[_LOWER_LIP] += mouth_drop * unit * down * np.clip(1 - along**2, 0, 1)[:, None]
    moved[_CHIN] += 0.6 * mouth_drop * unit * down
    outwards = np.sign((points[_CORNERS] - middle) @ across)
    moved[_CORNERS] += mouth_widen * unit * across * outwards[:, None]
    upper, lower = points[_LIDS[0]], points[_LIDS[1]]
    moved[_LIDS[0]] = lower + (upper - lower) * eye_scale
    return moved
