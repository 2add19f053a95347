"""The 81-point landmark layout: iBUG's 68 points and 13 points of the forehead.

Landmarks are arrays [..., 81, 2] of (x, y): x points right, y points down, in pixels with pixel centres at integer
coordinates. Points 0-67 follow the order of iBUG 300-W (Sagonas et al., ICCV Workshops 2013). Points 68-80 run along
the upper edge of the face. "Left" and "right" are those of the image of an upright, unmirrored face.
"""

import numpy as np

LANDMARKS = 81
"""Number of points."""

IBUG_LANDMARKS = 68
"""Number of points in iBUG's layout, which come first."""

JAW = slice(0, 17)
"""From the left ear over the chin (8) to the right ear."""

LEFT_BROW, RIGHT_BROW = slice(17, 22), slice(22, 27)
"""Each from left to right."""

NOSE_RIDGE = slice(27, 31)
"""From between the eyes down to the tip."""

NOSE_BASE = slice(31, 36)
"""From left to right under the nose."""

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
"""Each clockwise on screen from its left corner."""

OUTER_LIPS, INNER_LIPS = slice(48, 60), slice(60, 68)
"""Each clockwise on screen from the left corner of the mouth."""

FOREHEAD = slice(68, 81)
"""From left to right."""

FEATURES = slice(17, 68)
"""Brows, nose, eyes and mouth: iBUG's points without the jaw."""


def _mirror_order() -> np.ndarray:
    order = np.arange(LANDMARKS)
    for group in (JAW, NOSE_BASE, FOREHEAD):
        order[group] = order[group][::-1]
    order[LEFT_BROW], order[RIGHT_BROW] = np.arange(26, 21, -1), np.arange(21, 16, -1)
    order[LEFT_EYE], order[RIGHT_EYE] = (45, 44, 43, 42, 47, 46), (39, 38, 37, 36, 41, 40)
    # The upper and the lower line of each lip.
    for start, stop in ((48, 55), (55, 60), (60, 65), (65, 68)):
        order[start:stop] = np.arange(stop - 1, start - 1, -1)
    return order


MIRROR_ORDER = _mirror_order()
"""Point i of a mirrored face is point MIRROR_ORDER[i] of the original, int64 [81]."""
