"""The window that the model sees: one square per clip around the face, for training and evaluation alike."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.augment.flip import mirror_landmarks
from fakedetect_jax.augment.resample import plain_sampling, resample_frames
from fakedetect_jax.faces.landmarks import IBUG_LANDMARKS

# A face narrower than this has no usable landmarks at any stored crop size.
_SMALLEST_FACE = 4.0


class Face(NamedTuple):
    """Mean box of a clip's landmarks 0-67 in crop pixels; `usable` says which frames have sane landmarks."""

    left: Float[Array, ""]
    top: Float[Array, ""]
    width: Float[Array, ""]
    height: Float[Array, ""]
    usable: Bool[Array, " t"]


class Window(NamedTuple):
    """A square in crop pixels; `left`, `top` are outer edges (the crop starts at -0.5); mirrored if 1."""

    left: Float[Array, ""]
    top: Float[Array, ""]
    side: Float[Array, ""]
    mirror: Float[Array, ""]


class Margins(NamedTuple):
    """How far the window reaches beyond the face box, as fractions of the box's width or height."""

    left: Float[Array, ""] | float
    top: Float[Array, ""] | float
    right: Float[Array, ""] | float
    bottom: Float[Array, ""] | float


def locate_face(
    landmarks: Float[Array, "t 81 2"], valid: Bool[Array, " t"] | None, *, height: int, width: int
) -> Face:
    """Average the landmark boxes of frames that are valid, finite, sane in extent, no line, and centred in the crop.

    Without any such frame the box is the whole crop.
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
    """Whether the points are not all on one line: their principal axes are alike within a factor of ten."""
    centred = points - jnp.mean(points, axis=1, keepdims=True)
    xx, yy = jnp.mean(jnp.square(centred[..., 0]), axis=1), jnp.mean(jnp.square(centred[..., 1]), axis=1)
    xy = jnp.mean(centred[..., 0] * centred[..., 1], axis=1)
    # Eigenvalues l1 <= l2 of the covariance: l1 / l2 > 1 / 100, by their product and sum.
    return xx * yy - xy * xy > 0.0098 * jnp.square(xx + yy)


def face_window(
    face: Face, margins: Margins, *, height: int, width: int, mirror: Float[Array, ""] | float = 0.0
) -> Window:
    """The face box widened by `margins`, made square about its centre; at most as wide as the crop.

    Without a usable frame it is the whole crop.
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
    window: Window, landmarks: Float[Array, "t 81 2"], *, size: int
) -> Float[Array, "t 81 2"]:
    """Crop-pixel landmarks in pixels of the `size` output, mirrored with it."""
    origin = jnp.stack([window.left, window.top])
    points = (landmarks - origin) * (size / window.side) - 0.5
    return jnp.where(window.mirror > 0.5, mirror_landmarks(points, width=size), points)


def usable_landmarks(landmarks: Float[Array, "t 81 2"], face: Face) -> Float[Array, "t 81 2"]:
    """The landmarks, and zeros for the frames in which they are not usable."""
    return jnp.where(face.usable[:, None, None], landmarks, 0.0)


def cut_window(
    frames: Float[Array, "t h w 3"], window: Window, *, size: int
) -> Float[Array, "3 t size size"]:
    """Resample one window of every frame to planes of `size`; outside the crop its edge pixels repeat."""
    grid = jnp.arange(size, dtype=jnp.float32)
    step = window.side / size
    rows = plain_sampling(to_crop_y(window, grid, size=size), step)
    columns = plain_sampling(to_crop_x(window, grid, size=size), step)
    return resample_frames(rows, columns, frames)


class Crop(NamedTuple):
    """A clip as the model sees it: RGB in [0, 1], and landmarks in its pixels (zeros where they are unusable)."""

    frames: Float[Array, "t size size 3"]
    landmarks: Float[Array, "t 81 2"]


def face_crop(
    frames: Float[Array, "t h w 3"],
    landmarks: Float[Array, "t 81 2"],
    *,
    size: int,
    margin: float = 0.125,
    valid: Bool[Array, " t"] | None = None,
) -> Crop:
    """The evaluation crop: the clip's mean face box, `margin` wider on each side, square, at `size` pixels.

    `frames` are stored crops in [0, 1], `landmarks` their crop pixels, `valid` the frames that count (default
    all). One window serves the whole clip, so that it adds no motion. Landmarks that no frame can use (NaN, a
    point, outside the crop) give the whole stored crop. The margin is that of the published SBI evaluation.
    """
    height, width = frames.shape[1:3]
    face = locate_face(landmarks, valid, height=height, width=width)
    window = face_window(face, Margins(margin, margin, margin, margin), height=height, width=width)
    planes = cut_window(frames, window, size=size)
    points = landmarks_in_window(window, usable_landmarks(landmarks, face), size=size)
    return Crop(jnp.transpose(planes, (1, 2, 3, 0)), points)
