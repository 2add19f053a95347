"""A face track as a picture: a few frames side by side with their landmarks."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import simplejpeg
from jaxtyping import Float, UInt8
from PIL import Image

from fakedetect_jax.inspection.quality import spread

FRAMES = 4
TILE = 208
"""Side of a frame in the picture, in pixels."""

_DOT = (255, 255, 255)
_RIM = (0, 0, 0)
_SUBPIXEL_BITS = 4


def draw_strip(record: Mapping[str, Any]) -> str:
    """Return up to four evenly spread frames of a stored track, with landmarks, as the data URI of a JPEG."""
    files, landmarks = record["frames"], record["landmarks"]
    tiles = [
        draw_landmarks(simplejpeg.decode_jpeg(files[place]), landmarks[place])
        for place in spread(len(files), FRAMES)
    ]
    data = io.BytesIO()
    # Subsampled chroma would let the skin's colour run into the dots.
    Image.fromarray(np.concatenate(tiles, axis=1)).save(data, "JPEG", quality=85, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def draw_landmarks(
    crop: UInt8[np.ndarray, "s s 3"], landmarks: Float[np.ndarray, "n 2"]
) -> UInt8[np.ndarray, "tile tile 3"]:
    """Return a crop as a tile of the strip; each point is a white dot with a black rim, visible on any skin."""
    shrinks = len(crop) > TILE
    tile = cv2.resize(crop, (TILE, TILE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    points = (landmarks + 0.5) * (TILE / len(crop)) - 0.5
    for radius, colour in ((1.8, _RIM), (1.0, _DOT)):
        for point in points[np.isfinite(points).all(axis=1)]:
            _dot(tile, point, radius, colour)
    return tile


def _dot(
    image: UInt8[np.ndarray, "h w 3"],
    at: Float[np.ndarray, " 2"],
    radius: float,
    colour: tuple[int, int, int],
) -> None:
    x, y, size = (round(float(value) * (1 << _SUBPIXEL_BITS)) for value in (*at, radius))
    cv2.circle(image, (x, y), size, colour, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)
