"""Four figures that tell a good face track from a bad one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
from jaxtyping import Float, Integer, UInt8

from fakedetect_jax.faces import FrameChoice, warp

_DECODED_FRAMES = 4
_SMALLEST_FACE = 8  # pixels; the Laplacian of fewer is mostly border


class Quality(NamedTuple):
    """The figures of one track; NaN where one cannot be had.

    Attributes:
      confidence: mean landmark confidence, in [0, 1].
      size: median longer side of the box, in source pixels.
      jitter: see `jitter`; as a fraction of the face's width, 0 or more.
      sharpness: median `sharpness` of up to four frames, in [0, 64].
    """

    confidence: float
    size: float
    jitter: float
    sharpness: float


@dataclasses.dataclass(frozen=True)
class Measure:
    """How a figure of `Quality` is named, explained and written.

    Attributes:
      name: the field of `Quality`.
      definition: one sentence with the unit.
      worst_is_low: which end is the bad one.
      factor: what the figure is multiplied with before it is written with `digits` decimals and `unit`.
    """

    name: str
    definition: str
    worst_is_low: bool
    digits: int
    unit: str = ""
    factor: float = 1.0

    def write(self, value: float) -> str:
        """Returns the figure as text; a dash for NaN."""
        return "–" if np.isnan(value) else f"{self.factor * value:.{self.digits}f}{self.unit}"


MEASURES = (
    Measure(
        "confidence",
        "Mean over the track's frames of the probability that the landmarks lie on a face: from 0 to 1, no unit.",
        worst_is_low=True,
        digits=3,
    ),
    Measure(
        "size",
        "Median over the track's frames of the longer side of the face's box, in pixels of the source video.",
        worst_is_low=True,
        digits=0,
        unit=" px",
    ),
    Measure(
        "jitter",
        "Root mean square of the landmarks' second differences in time, each coordinate on its own (twice how far a "
        "point in the crop lies from midway between its places one frame before and after), as a percentage of the "
        "face's width; only runs of consecutive source frames count.",
        worst_is_low=False,
        digits=2,
        unit=" %",
        factor=100.0,
    ),
    Measure(
        "sharpness",
        "Variance of the Laplacian of the grey face, put back on its source pixels if the crop enlarged it, over the "
        "variance of its grey values: from 0 (blurred) over 20 (white noise) to 64, no unit; median of up to four "
        "frames.",
        worst_is_low=True,
        digits=3,
    ),
)


def measure(record: Mapping[str, Any]) -> Quality:
    """Measures a stored track (schema.features), decoding at most four of its frames."""
    return Quality(
        confidence=float(np.mean(record["confidence"])),
        size=size(record["box"]),
        jitter=jitter(record["landmarks"], record["frame_index"]),
        sharpness=_median_sharpness(record),
    )


def spread(length: int, count: int) -> list[int]:
    """Returns up to `count` places of a track of `length` frames, each in the middle of its share of it."""
    return FrameChoice(count=count).positions(length).tolist()


def size(box: Float[np.ndarray, "t 4"]) -> float:
    """Returns the median longer side of boxes (x0, y0, x1, y1), in their pixels."""
    return float(np.median((box[:, 2:] - box[:, :2]).max(axis=1)))


def jitter(landmarks: Float[np.ndarray, "t n 2"], frame_index: Integer[np.ndarray, " t"]) -> float:
    """Returns how much landmarks tremble, as a fraction of the face's width.

    The root mean square of their second differences over three consecutive source frames, each coordinate on its
    own, over the median width of the points. Points that move evenly give 0; independent noise of standard deviation
    s gives sqrt(6) s / width, in the units of `landmarks`. NaN if no three frames are consecutive.
    """
    points = landmarks.astype(np.float64)
    follows = np.diff(frame_index) == 1
    bend = (points[2:] - 2 * points[1:-1] + points[:-2])[follows[1:] & follows[:-1]]
    width = float(np.median(np.ptp(points[..., 0], axis=1)))
    if not len(bend) or width <= 0:
        return float("nan")
    return float(np.sqrt(np.mean(bend**2))) / width


def sharpness(grey: UInt8[np.ndarray, "h w"]) -> float:
    """Returns the variance of the Laplacian over the variance of the grey values: in [0, 64], without unit.

    The Laplacian is the four neighbours' sum less four times the pixel. Contrast and brightness do not count, so
    that dark skin or a dim room is not called blurred. NaN of an even surface or less than 8 pixels a side.
    """
    if min(grey.shape) < _SMALLEST_FACE:
        return float("nan")
    values = grey.astype(np.float64)
    variance = float(values.var())
    return float(cv2.Laplacian(values, cv2.CV_64F).var()) / variance if variance else float("nan")


def face_at_source_scale(
    crop: UInt8[np.ndarray, "s s"], landmarks: Float[np.ndarray, "n 2"], affine: Float[np.ndarray, "2 3"]
) -> UInt8[np.ndarray, "h w"]:
    """Returns the part of a grey crop that the landmarks span, on the source's pixels if the crop enlarged them.

    Enlarging adds pixels without detail, for which a small sharp face would be called blurred. A crop that is
    smaller than its source stays as it is, as nobody sees the lost detail any more.

    Args:
      crop: as stored.
      landmarks: in crop pixels.
      affine: source to crop.
    """
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if scale <= 1:
        left, top = np.clip(np.floor(landmarks.min(axis=0)), 0, len(crop)).astype(int)
        right, bottom = np.clip(np.ceil(landmarks.max(axis=0)) + 1, 0, len(crop)).astype(int)
        return crop[top:bottom, left:right]
    spanned = warp.apply_affine(cv2.invertAffineTransform(affine.astype(np.float64)), landmarks)
    corner = np.floor(spanned.min(axis=0))
    width, height = (np.ceil(spanned.max(axis=0)) - corner + 1).astype(int)
    shifted = affine.astype(np.float64)
    shifted[:, 2] += shifted[:, :2] @ corner
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        crop, shifted, (int(width), int(height)), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )


def _median_sharpness(record: Mapping[str, Any]) -> float:
    files, landmarks, affine = record["frames"], record["landmarks"], record["affine"]
    figures = []
    for place in spread(len(files), _DECODED_FRAMES):
        crop = simplejpeg.decode_jpeg(files[place], colorspace="GRAY")[..., 0]
        figures.append(sharpness(face_at_source_scale(crop, landmarks[place], affine[place])))
    known = [figure for figure in figures if not np.isnan(figure)]
    return float(np.median(known)) if known else float("nan")
