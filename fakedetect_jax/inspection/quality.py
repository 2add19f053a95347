"""Four measures that tell a good face track from a bad one."""

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
    """The measures of one track; NaN where one is unknown.

    Attributes:
        confidence: Mean landmark confidence, in [0, 1].
        size: Median longer side of the box, in source pixels.
        jitter: As `jitter` returns it: a fraction of the face's width, 0 or more.
        sharpness: Median `sharpness` of up to four frames, in [0, 64].
    """

    confidence: float
    size: float
    jitter: float
    sharpness: float


@dataclasses.dataclass(frozen=True)
class Measure:
    """How a field of `Quality` is explained and written.

    Attributes:
        name: The field of `Quality`.
        definition: One sentence with the unit.
        worst_is_low: Whether low values are the bad ones.
        digits: Decimals that are written.
        unit: Written after the value.
        factor: Multiplies the value before it is written.
    """

    name: str
    definition: str
    worst_is_low: bool
    digits: int
    unit: str = ""
    factor: float = 1.0

    def write(self, value: float) -> str:
        """Return the value as text; a dash for NaN."""
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
    """Measure a stored track (see `schema.features`), decoding at most four of its frames."""
    return Quality(
        confidence=float(np.mean(record["confidence"])),
        size=size(record["box"]),
        jitter=jitter(record["landmarks"], record["frame_index"]),
        sharpness=_median_sharpness(record),
    )


def spread(length: int, count: int) -> list[int]:
    """Return up to `count` places of a track of `length` frames, each in the middle of its share."""
    return FrameChoice(count=count).positions(length).tolist()


def size(box: Float[np.ndarray, "t 4"]) -> float:
    """Return the median longer side of boxes (x0, y0, x1, y1), in their pixels."""
    return float(np.median((box[:, 2:] - box[:, :2]).max(axis=1)))


def jitter(landmarks: Float[np.ndarray, "t n 2"], frame_index: Integer[np.ndarray, " t"]) -> float:
    """Return how much landmarks tremble, as a fraction of the face's width; NaN if no three frames are consecutive.

    It is the root mean square of each coordinate's second difference over three consecutive source frames, divided by
    the median width of the points. Points that move evenly give 0. Independent noise of standard deviation s, in the
    units of `landmarks`, gives sqrt(6) s / width.
    """
    points = landmarks.astype(np.float64)
    follows = np.diff(frame_index) == 1
    bend = (points[2:] - 2 * points[1:-1] + points[:-2])[follows[1:] & follows[:-1]]
    width = float(np.median(np.ptp(points[..., 0], axis=1)))
    if not len(bend) or width <= 0:
        return float("nan")
    return float(np.sqrt(np.mean(bend**2))) / width


def sharpness(grey: UInt8[np.ndarray, "h w"]) -> float:
    """Return the variance of the Laplacian divided by the variance of the grey values: in [0, 64], without unit.

    The Laplacian is the sum of the four neighbours minus four times the pixel. Contrast and brightness do not count, so
    that dark skin or a dim room does not pass for blur. NaN for a uniform surface or less than 8 pixels a side.
    """
    if min(grey.shape) < _SMALLEST_FACE:
        return float("nan")
    values = grey.astype(np.float64)
    variance = float(values.var())
    return float(cv2.Laplacian(values, cv2.CV_64F).var()) / variance if variance else float("nan")


def face_at_source_scale(
    crop: UInt8[np.ndarray, "s s"], landmarks: Float[np.ndarray, "n 2"], affine: Float[np.ndarray, "2 3"]
) -> UInt8[np.ndarray, "h w"]:
    """Return the part of a grey crop that the landmarks span, at the source's resolution if the crop enlarged it.

    Enlarging adds pixels without detail, which would make a small sharp face pass for a blurred one. A crop that is
    smaller than its source stays as it is, because the lost detail is not in the dataset.

    Args:
        crop: As stored.
        landmarks: In crop pixels.
        affine: From source to crop pixels.
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
