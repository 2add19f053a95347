"""Antialiased similarity warps of a frame into a small square."""

import cv2
import numpy as np
from jaxtyping import Float, Num

_BLOCKS_FROM, _LEFT_TO_BLUR = 4.0, 2.0


def similarity(
    centre: Float[np.ndarray, " 2"], side: float, angle: float, size: int
) -> Float[np.ndarray, "2 3"]:
    """Return the affine from source pixels to the pixels of a `size` square.

    It maps a square window onto the whole output: the outer edges of the window land on those of the border pixels.

    Args:
        centre: Of the window, in source pixels.
        side: Of the window, in source pixels.
        angle: Radians by which the window is turned, clockwise on screen.
        size: Side of the output in pixels.
    """
    scale = size / side
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    middle = (size - 1) / 2
    return np.concatenate([linear, (middle - linear @ centre)[:, None]], axis=1)


def apply_affine(
    affine: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "n 2"]:
    """Map points (x, y)."""
    return points @ affine[:, :2].T + affine[:, 2]


def warp_square(
    image: Num[np.ndarray, "h w c"], affine: Float[np.ndarray, "2 3"], size: int, interpolation: int
) -> Num[np.ndarray, "{size} {size} c"]:
    """Sample the square that `affine`, a similarity from source to output, describes; black beyond the frame.

    If it shrinks by s, the source is first blurred by a Gaussian of 0.4 * sqrt(s^2 - 1) pixels: slightly softer than
    the mean over an output pixel's area, without its aliasing. The blur grows smoothly with s, so that a face that
    slowly changes its size does not flicker. A much larger face is first reduced to means over blocks of pixels: the
    blur would cost far more than all the rest.
    """
    shrink = 1 / float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if shrink <= 1.05:
        return cv2.warpAffine(image, affine, (size, size), flags=interpolation)
    sigma = 0.4 * float(np.sqrt(shrink**2 - 1))
    window, corner = _window(image, affine, size, margin=3 * sigma + 2)
    if window.size == 0:
        return np.zeros((size, size, image.shape[2]), np.uint8)
    shifted = affine.copy()
    shifted[:, 2] += affine[:, :2] @ corner
    if shrink >= _BLOCKS_FROM:
        return warp_square(*_blocks(window, shifted, int(shrink / _LEFT_TO_BLUR)), size, interpolation)
    blurred = cv2.GaussianBlur(window, (0, 0), sigma)
    return cv2.warpAffine(blurred, shifted, (size, size), flags=interpolation)


def _blocks(
    image: Num[np.ndarray, "h w c"], affine: Float[np.ndarray, "2 3"], side: int
) -> tuple[Num[np.ndarray, "h2 w2 c"], Float[np.ndarray, "2 3"]]:
    """Return means over blocks of `side` pixels, and the affine from their coordinates."""
    height, width = (-(-length // side) for length in image.shape[:2])
    below, right = height * side - image.shape[0], width * side - image.shape[1]
    padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
    means = cv2.resize(padded, (width, height), interpolation=cv2.INTER_AREA)
    linear = affine[:, :2]
    offset = affine[:, 2] + linear @ np.full(2, (side - 1) / 2)
    return means, np.concatenate([side * linear, offset[:, None]], axis=1)


def _window(
    image: Num[np.ndarray, "h w c"], affine: Float[np.ndarray, "2 3"], size: int, margin: float
) -> tuple[Num[np.ndarray, "h2 w2 c"], Float[np.ndarray, " 2"]]:
    """Return the part of the image that the output sees, and the x, y of its first pixel."""
    outline = np.array([[0, 0], [size, 0], [0, size], [size, size]], np.float64) - 0.5
    seen = apply_affine(cv2.invertAffineTransform(affine), outline)
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(seen.min(axis=0) - margin), 0, limit).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0) + margin) + 1, 0, limit).astype(int)
    return image[low[1] : high[1], low[0] : high[0]], low.astype(np.float64)
