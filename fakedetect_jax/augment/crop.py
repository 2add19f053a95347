"""The window that the model sees: one square around the face for the whole clip, in training and evaluation alike."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from fakedetect_jax.augment.resampling import Scalar, plain_sampling, resample_frames
from fakedetect_jax.faces.landmarks import IBUG_LANDMARKS, LANDMARKS, MIRROR_ORDER

# A face narrower than this many pixels has no usable landmarks at any stored crop size.
_SMALLEST_FACE = 4.0
_MIRROR = np.eye(LANDMARKS, dtype=np.float32)[MIRROR_ORDER]


class Face(NamedTuple):
    """Mean box of a clip's iBUG landmarks in crop pixels; `usable` tells which frames have sane landmarks.

    The points of the forehead, the least certain ones, do not count.
    """

    left: Float[Array, ""]
    top: Float[Array, ""]
    width: Float[Array, ""]
    height: Float[Array, ""]
    usable: Bool[Array, " t"]


class Window(NamedTuple):
    """A square in crop pixels.

    Attributes:
        left: Outer edge; that of the crop is -0.5.
        top: Outer edge.
        side: Length of a side.
        mirror: 1 if the window is mirrored, else 0.
    """

    left: Float[Array, ""]
    top: Float[Array, ""]
    side: Float[Array, ""]
    mirror: Float[Array, ""]


class Margins(NamedTuple):
    """Reach of the window beyond the face box, as fractions of the box's width or height."""

    left: Scalar
    top: Scalar
    right: Scalar
    bottom: Scalar


def locate_face(
    landmarks: Float[Array | np.ndarray, "t 81 2"],
    valid: Bool[Array | np.ndarray, " t"] | None,
    *,
    height: int,
    width: int,
) -> Face:
    """Average the landmark boxes of a clip's usable frames.

    The landmarks of a usable frame are finite, sane in extent, not on one line, and centred within the crop.

    Args:
        landmarks: In crop pixels.
        valid: Which frames count; all if None.
        height: Of the crop in pixels.
        width: Of the crop in pixels.

    Returns:
        The mean box, or the whole crop if no frame is usable.
    """
    limits = jnp.array([width, height], jnp.float32)
    finite = jnp.all(jnp.isfinite(landmarks), axis=(1, 2))
    points = jnp.where(finite[:, None, None], landmarks, 0.0)
    low = jnp.min(points[:, :IBUG_LANDMARKS], axis=1)
    high = jnp.max(points[:, :IBUG_LANDMARKS], axis=1)
    centre = (low + high) / 2.0
    sane = (high - low >= _SMALLEST_FACE) & (high - low <= 4.0 * limits)
    usable = finite & jnp.all(sane & (centre >= 0.0) & (centre <= limits - 1.0), axis=1)
    usable = usable & _spread_out(points[:, :IBUG_LANDMARKS])
    if valid is not None:
        usable = usable & valid
    weight = usable.astype(jnp.float32)[:, None]
    count = jnp.maximum(jnp.sum(weight), 1.0)
    # Selecting before the sum keeps an infinite extent of a rejected frame from turning 0 * inf into NaN.
    low = jnp.sum(jnp.where(usable[:, None], low, 0.0), axis=0) / count
    high = jnp.sum(jnp.where(usable[:, None], high, 0.0), axis=0) / count
    found = jnp.any(usable)
    low = jnp.where(found, low, -0.5)
    high = jnp.where(found, high, limits - 0.5)
    return Face(low[0], low[1], high[0] - low[0], high[1] - low[1], usable)


def _spread_out(points: Float[Array, "t n 2"]) -> Bool[Array, " t"]:
    """Return whether the points are not all on one line: their principal axes agree within a factor of ten."""
    centred = points - jnp.mean(points, axis=1, keepdims=True)
    xx, yy = jnp.mean(jnp.square(centred[..., 0]), axis=1), jnp.mean(jnp.square(centred[..., 1]), axis=1)
    xy = jnp.mean(centred[..., 0] * centred[..., 1], axis=1)
    # Eigenvalues l1 <= l2 of the covariance: l1 / l2 > 1 / 100, by their product and sum.
    return xx * yy - xy * xy > 0.0098 * jnp.square(xx + yy)


def face_window(face: Face, margins: Margins, *, height: int, width: int, mirror: Scalar = 0.0) -> Window:
    """Return the face box widened by `margins` and made square about its centre, at most as wide as the crop.

    The window is the whole crop if no frame is usable.
    """
    left = face.left - margins.left * face.width
    right = face.left + (1.0 + margins.right) * face.width
    top = face.top - margins.top * face.height
    bottom = face.top + (1.0 + margins.bottom) * face.height
    found, whole = jnp.any(face.usable), float(max(height, width))
    side = jnp.where(found, jnp.minimum(jnp.maximum(right - left, bottom - top), whole), whole)
    centre_x = jnp.where(found, (left + right) / 2.0, (width - 1.0) / 2.0)
    centre_y = jnp.where(found, (top + bottom) / 2.0, (height - 1.0) / 2.0)
    return Window(centre_x - side / 2.0, centre_y - side / 2.0, side, jnp.asarray(mirror, dtype=jnp.float32))


def to_crop_x(window: Window, x: Float[Array, "..."], *, size: int) -> Float[Array, "..."]:
    """Map horizontal window coordinates (pixels of the `size` output) to crop pixels."""
    unmirrored = window.mirror * (size - 1.0 - x) + (1.0 - window.mirror) * x
    return window.left + (unmirrored + 0.5) * window.side / size


def to_crop_y(window: Window, y: Float[Array, "..."], *, size: int) -> Float[Array, "..."]:
    """Map vertical window coordinates to crop pixels."""
    return window.top + (y + 0.5) * window.side / size


def landmarks_in_window(
    window: Window, landmarks: Float[Array | np.ndarray, "t 81 2"], *, size: int
) -> Float[Array, "t 81 2"]:
    """Map landmarks from crop pixels to pixels of the `size` output, mirrored with it."""
    origin = jnp.stack([window.left, window.top])
    points = (landmarks - origin) * (size / window.side) - 0.5
    return jnp.where(window.mirror > 0.5, mirror_landmarks(points, width=size), points)


def mirror_landmarks(landmarks: Float[Array, "t 81 2"], *, width: int) -> Float[Array, "t 81 2"]:
    """Mirror finite landmarks with their image of `width` pixels: reflect x, and exchange left and right points."""
    # A matrix product, because a gather along a sharded batch may cost communication.
    renamed = jnp.einsum("ij,tjc->tic", _MIRROR, landmarks, precision=jax.lax.Precision.HIGHEST)
    return jnp.stack([width - 1.0 - renamed[..., 0], renamed[..., 1]], axis=-1)


def usable_landmarks(landmarks: Float[Array | np.ndarray, "t 81 2"], face: Face) -> Float[Array, "t 81 2"]:
    """Return the landmarks, with zeros for the frames in which they are not usable."""
    return jnp.where(face.usable[:, None, None], landmarks, 0.0)


def cut_window(
    frames: Float[Array | np.ndarray, "t h w 3"], window: Window, *, size: int
) -> Float[Array, "3 t {size} {size}"]:
    """Resample the window of every frame to planes of `size`; outside the crop, its edge pixels repeat."""
    grid = jnp.arange(size, dtype=jnp.float32)
    step = window.side / size
    rows = plain_sampling(to_crop_y(window, grid, size=size), step)
    columns = plain_sampling(to_crop_x(window, grid, size=size), step)
    return resample_frames(rows, columns, frames)


class Crop(NamedTuple):
    """A clip as the model sees it: RGB in [0, 1], and landmarks in its pixels, with zeros where they are unusable."""

    frames: Float[Array, "t size size 3"]
    landmarks: Float[Array, "t 81 2"]


def face_crop(
    frames: Float[Array | np.ndarray, "t h w 3"],
    landmarks: Float[Array | np.ndarray, "t 81 2"],
    *,
    size: int,
    margin: float = 0.125,
    valid: Bool[Array | np.ndarray, " t"] | None = None,
) -> Crop:
    """Cut out the evaluation crop: the clip's mean face box, `margin` wider on each side, made square.

    One window serves the whole clip, so that it adds no motion.

    Args:
        frames: Stored face crops, RGB in [0, 1].
        landmarks: In pixels of the stored crops.
        size: Side of the result in pixels.
        margin: Fraction of the box; the default is that of the published SBI evaluation.
        valid: Which frames count; all if None.

    Returns:
        The crop; the whole stored crop if no frame has usable landmarks (NaN, all in one point, outside the crop).
    """
    height, width = frames.shape[1:3]
    face = locate_face(landmarks, valid, height=height, width=width)
    window = face_window(face, Margins(margin, margin, margin, margin), height=height, width=width)
    planes = cut_window(frames, window, size=size)
    points = landmarks_in_window(window, usable_landmarks(landmarks, face), size=size)
    return Crop(jnp.transpose(planes, (1, 2, 3, 0)), points)
