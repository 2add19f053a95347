"""Following faces from frame to frame: detections are assigned to tracks, and a cut ends all tracks."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.optimize import linear_sum_assignment

from fakedetect_jax.faces.networks import (
    Detections,
    Mesh,
    Region,
    landmarks_81,
    region_of_detection,
    region_of_mesh,
)

MAX_GAP = 0.48
"""Seconds for which a track outlives its last detection."""

_MIN_PRESENCE = 0.5
_MAX_DISTANCE = 0.75  # between frames, in mean box sides
_MAX_SIZE_RATIO = 2.0
_STEADY_IOU = 0.6  # above it, the last landmarks still tell where the face is
_SAME_FACE_IOU = 0.3  # a mesh that overlaps its detection less has slipped to something else
_DUPLICATE_IOU = 0.5
# Correlation of thumbnails. Those of one person, 5 frames apart, were above 0.66; nine in ten pairs of two people were
# below 0.6.
_MIN_LIKENESS = 0.6
_LIKENESS_SPAN = 5

# A cut changes both the places of colours (mean difference of thumbnails in grey levels) and the colours themselves
# (one minus the intersection of histograms).
_SHOT_THUMBNAIL = (32, 24)
_SHOT_BINS = 8
_CUT_DIFFERENCE = 20.0
_CUT_DISTANCE = 0.25


class Face(NamedTuple):
    """One face of one frame, in frame pixels."""

    track: int
    landmarks: Float[np.ndarray, "81 2"]
    box: Float[np.ndarray, " 4"]
    confidence: float


@dataclasses.dataclass
class _Live:
    """A track that may continue: its state when last seen, and the frames when it was last seen and detected."""

    number: int
    mesh: Mesh
    box: Float[np.ndarray, " 4"]
    thumbnail: Float[np.ndarray, "24 24"]
    seen: int
    detected: int


class Tracker:
    """Turns frames, given in order, into faces with track numbers.

    A track without a detection continues from its last landmarks as long as the mesh finds a face there, for up to
    MAX_GAP seconds and at least until two more frames were detected on. In a frame without a face the track is
    absent. A face that looks unlike the one at most five source frames before starts a new track.

    Args:
        detect: Maps a frame to its detections.
        fit: Maps a frame and a region to a mesh.
        thumbnail: Maps a frame and a mesh to a small image of the face, with mean 0 and norm 1.
        min_face: Pixels of the longer side of the box that a new track needs.
        fps: Source frames a second.
        detect_every: Detect on every so-many-th source frame only; new faces are found that much later.
    """

    def __init__(
        self,
        detect: Callable[[UInt8[np.ndarray, "h w 3"]], Detections],
        fit: Callable[[UInt8[np.ndarray, "h w 3"], Region], Mesh],
        thumbnail: Callable[[UInt8[np.ndarray, "h w 3"], Mesh], Float[np.ndarray, "24 24"]],
        *,
        min_face: float,
        fps: float = 25.0,
        detect_every: int = 1,
    ) -> None:
        self._detect = detect
        self._fit = fit
        self._thumbnail = thumbnail
        self._min_face = min_face
        self._detect_every = detect_every
        self._max_gap = max(round(MAX_GAP * fps), 2 * detect_every)
        self._live: list[_Live] = []
        self._numbers = itertools.count()

    def reset(self) -> None:
        """End all tracks: another shot begins."""
        self._live = []

    def update(self, image: UInt8[np.ndarray, "h w 3"], index: int) -> list[Face]:
        """Return the faces of the next frame, the source frame `index`; each track occurs at most once."""
        if index % self._detect_every == 0:
            self._follow(self._detect(image), image, index)
        else:
            for live in self._live:
                self._advance(live, image, index, None, None)
        self._live = [
            live for live in _without_duplicates(self._live) if index - live.detected <= self._max_gap
        ]
        return [
            Face(live.number, landmarks_81(live.mesh.points), live.box, live.mesh.presence)
            for live in self._live
            if live.seen == index
        ]

    def _follow(self, found: Detections, image: UInt8[np.ndarray, "h w 3"], index: int) -> None:
        pairs, lost, new = associate(_stack([live.box for live in self._live]), found.box)
        for track, detection in pairs:
            live = self._live[track]
            self._advance(live, image, index, found.box[detection], found.points[detection])
        for track in lost:
            self._advance(self._live[track], image, index, None, None)
        for detection in new:
            self._begin(image, index, found.box[detection], found.points[detection])

    def _advance(
        self,
        live: _Live,
        image: UInt8[np.ndarray, "h w 3"],
        index: int,
        box: Float[np.ndarray, " 4"] | None,
        points: Float[np.ndarray, "5 2"] | None,
    ) -> None:
        expected = live.box if box is None else box
        mesh = None
        if box is None or iou(live.box[None], box[None]).item() >= _STEADY_IOU:
            mesh = self._checked(self._fit(image, region_of_mesh(live.mesh.points)), expected)
        if mesh is None and box is not None and points is not None:
            mesh = self._fit_detection(image, box, points)
        if mesh is None:
            return
        thumbnail = self._thumbnail(image, mesh)
        if index - live.seen <= _LIKENESS_SPAN and (thumbnail * live.thumbnail).sum() < _MIN_LIKENESS:
            live.number = next(self._numbers)
        live.mesh, live.box, live.thumbnail = mesh, bounding_box(landmarks_81(mesh.points)), thumbnail
        live.seen = index
        if box is not None:
            live.detected = index

    def _begin(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        index: int,
        box: Float[np.ndarray, " 4"],
        points: Float[np.ndarray, "5 2"],
    ) -> None:
        if max(box[2] - box[0], box[3] - box[1]) < self._min_face:
            return
        mesh = self._fit_detection(image, box, points)
        if mesh is not None:
            tight = bounding_box(landmarks_81(mesh.points))
            thumbnail = self._thumbnail(image, mesh)
            self._live.append(_Live(next(self._numbers), mesh, tight, thumbnail, seen=index, detected=index))

    def _fit_detection(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        box: Float[np.ndarray, " 4"],
        points: Float[np.ndarray, "5 2"],
    ) -> Mesh | None:
        """Fit the mesh in two passes: the first finds the extent and the roll that the second one's window needs."""
        first = self._checked(self._fit(image, region_of_detection(box, points)), box)
        if first is None:
            return None
        return self._checked(self._fit(image, region_of_mesh(first.points)), box)

    @staticmethod
    def _checked(mesh: Mesh, expected: Float[np.ndarray, " 4"]) -> Mesh | None:
        box = bounding_box(landmarks_81(mesh.points))
        same = iou(box[None], expected[None]).item() >= _SAME_FACE_IOU
        return mesh if same and mesh.presence >= _MIN_PRESENCE else None


def associate(
    tracks: Float[np.ndarray, "n 4"], detections: Float[np.ndarray, "m 4"]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Assign detections to tracks with the least sum of 1 - IoU + centre distance / mean side (Hungarian method).

    Boxes further apart than 0.75 of the mean side, or with sides that differ by more than a factor of two, are never
    paired.

    Args:
        tracks: Boxes x0, y0, x1, y1.
        detections: Boxes x0, y0, x1, y1.

    Returns:
        Pairs (track, detection), tracks without a detection, detections without a track.
    """
    side_of = [np.maximum(b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]) for b in (tracks, detections)]
    mean_side = (side_of[0][:, None] + side_of[1]) / 2
    ratio = side_of[0][:, None] / side_of[1]
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in (tracks, detections)]
    distance = np.linalg.norm(centres[0][:, None] - centres[1], axis=-1) / mean_side
    allowed = (distance <= _MAX_DISTANCE) & (np.maximum(ratio, 1 / ratio) <= _MAX_SIZE_RATIO)
    cost = 1 - iou(tracks, detections) + distance
    forbidden = 1e3
    rows, columns = linear_sum_assignment(np.where(allowed, cost, forbidden))
    pairs = [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if allowed[r, c]]
    lost = sorted(set(range(len(tracks))) - {r for r, _ in pairs})
    new = sorted(set(range(len(detections))) - {c for _, c in pairs})
    return pairs, lost, new


def iou(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """Return the intersection over union of boxes x0, y0, x1, y1 that have an area."""
    low = np.maximum(a[:, None, :2], b[:, :2])
    high = np.minimum(a[:, None, 2:], b[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a, b))
    return common / (area_a[:, None] + area_b - common)


def bounding_box(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " 4"]:
    """Return x0, y0, x1, y1."""
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def _without_duplicates(live: list[_Live]) -> list[_Live]:
    """Keep one of several tracks that came to lie on one face: the one detected last, then the older one."""
    order: Int[np.ndarray, " n"] = np.lexsort(([x.number for x in live], [-x.detected for x in live]))
    kept: list[_Live] = []
    for candidate in (live[i] for i in order):
        if not kept or iou(candidate.box[None], _stack([x.box for x in kept])).max() <= _DUPLICATE_IOU:
            kept.append(candidate)
    return sorted(kept, key=lambda x: x.number)


def _stack(boxes: list[Float[np.ndarray, " 4"]]) -> Float[np.ndarray, "n 4"]:
    return np.array(boxes, np.float64).reshape(-1, 4)


class ShotDetector:
    """Tells, frame by frame, whether a hard cut began another shot.

    A cut changes both where the colours are (thumbnails of 32 x 24 pixels) and which colours there are (histograms of
    8 x 8 x 8 bins). Camera motion and gestures change only the former, a flicker of exposure mostly the latter. A cut
    within one scene may go unnoticed; the tracker then decides face by face.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None
        self._thumb = np.zeros(0)
        self._histogram = np.zeros(0)

    def is_cut(self, image: UInt8[np.ndarray, "h w 3"]) -> bool:
        """Return whether this frame belongs to another shot than the one before; False for the first frame."""
        shape, self._shape = self._shape, image.shape
        before, histogram_before = self._thumb, self._histogram
        # Samples are enough for means over a thirtieth of a frame; those of all pixels take as long as decoding.
        samples = cv2.resize(image, _scaled(8), interpolation=cv2.INTER_LINEAR)
        small = cv2.resize(samples, _scaled(4), interpolation=cv2.INTER_AREA)
        self._thumb = cv2.resize(small, _scaled(1), interpolation=cv2.INTER_AREA).astype(np.float32)
        counts = cv2.calcHist([small], [0, 1, 2], None, [_SHOT_BINS] * 3, [0, 256] * 3)
        self._histogram = counts / counts.sum()
        if shape is None:
            return False
        if shape != image.shape:
            return True
        difference = np.abs(self._thumb - before).mean()
        distance = 1 - np.minimum(self._histogram, histogram_before).sum()
        return bool(difference > _CUT_DIFFERENCE and distance > _CUT_DISTANCE)


def _scaled(factor: int) -> tuple[int, int]:
    return factor * _SHOT_THUMBNAIL[0], factor * _SHOT_THUMBNAIL[1]
