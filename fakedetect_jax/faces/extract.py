"""The face pipeline as one function."""

import os

import numpy as np

from fakedetect_jax.faces import warp
from fakedetect_jax.faces.appearance import thumbnail
from fakedetect_jax.faces.crop import CroppedTrack, Cropper
from fakedetect_jax.faces.detect import FaceDetector
from fakedetect_jax.faces.mesh import FaceMesh
from fakedetect_jax.faces.sequence import FaceSequence
from fakedetect_jax.faces.shots import ShotDetector
from fakedetect_jax.faces.track import Tracker
from fakedetect_jax.faces.video import open_video

# What datasets are built with and detectors are exported for: loose enough for every augmentation's own crop.
CROP_SIZE, CROP_MARGIN = 256, 0.3


def extract(
    video: str | os.PathLike[str],
    *,
    size: int = CROP_SIZE,
    margin: float = CROP_MARGIN,
    stride: int = 1,
    max_frames: int | None = None,
    min_face: int = 32,
    min_length: int = 1,
) -> list[FaceSequence]:
    """Find, follow and crop the faces of a video.

    One streaming pass. Memory holds a few decoded frames and, for every face and kept frame, one encoded crop
    (about 20 kB at 256 px): for very long videos give `stride` or `max_frames`.

    Args:
        video: a video file, an image, or a folder of frames (natural order of names, taken as 25 frames a
            second).
        size: side of the square crops in pixels.
        margin: the crop's side is (1 + 2 * margin) times the longer side of the 81 landmarks' box, smoothed
            in time.
        stride: keep every stride-th source frame.
        max_frames: look at this many source frames at most.
        min_face: a face must have been this large once (longer side of its detected box, in source pixels).
        min_length: leave out tracks with fewer kept frames.

    Returns:
        One sequence a track, the most important (largest sum of box areas over time) first; empty when there
        is no face. A hard cut, a change of frame size, or half a second without the face ends a track. A file
        that breaks off gives the sequences up to there, and a logged warning.

    Raises:
        VideoError: nothing there, not a video, or no frame that can be decoded.
        ValueError: an option out of range.
    """
    for name, value, least in (
        ("size", size, 16),
        ("margin", margin, 0),
        ("stride", stride, 1),
        ("max_frames", max_frames, 1),
        ("min_face", min_face, 1),
        ("min_length", min_length, 1),
    ):
        if value is not None and value < least:
            raise ValueError(f"extract: {name}={value} is too small; give at least {least}")
    opened = open_video(video, stride=stride, max_frames=max_frames)
    shots = ShotDetector()
    tracker = Tracker(FaceDetector(), FaceMesh(), thumbnail, min_face=min_face)
    cropper = Cropper(size, margin)
    for frame in opened.frames:
        if shots.is_cut(frame.image):
            tracker.reset()
        cropper.add(frame, tracker.update(frame.image, frame.index))
    cropper.finish()
    kept = [track for track in cropper.tracks.values() if len(track.frames) >= min_length]
    kept.sort(key=_importance, reverse=True)
    return [_sequence(number, track, opened.fps) for number, track in enumerate(kept)]


def _importance(track: CroppedTrack) -> float:
    boxes = np.array([face.box for face in track.faces])
    return float(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).sum())


def _sequence(number: int, track: CroppedTrack, fps: float) -> FaceSequence:
    landmarks = [
        warp.apply_affine(affine, face.landmarks)
        for affine, face in zip(track.affine, track.faces, strict=True)
    ]
    return FaceSequence(
        track=number,
        fps=fps,
        frame_size=track.frame_size,
        frames=track.frames,
        frame_index=np.array(track.frame_index, np.int32),
        timestamp=np.array(track.timestamp, np.float32),
        box=np.array([face.box for face in track.faces], np.float32),
        landmarks=np.array(landmarks, np.float32),
        confidence=np.array([face.confidence for face in track.faces], np.float32),
        affine=np.array(track.affine, np.float32),
    )
