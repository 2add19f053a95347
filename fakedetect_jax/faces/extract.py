"""The face pipeline as one function."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import warp
from fakedetect_jax.faces.appearance import thumbnail
from fakedetect_jax.faces.choice import FrameChoice
from fakedetect_jax.faces.crop import JPEG_QUALITY, CroppedTrack, Cropper
from fakedetect_jax.faces.detect import FaceDetector
from fakedetect_jax.faces.mesh import FaceMesh
from fakedetect_jax.faces.sequence import FaceSequence
from fakedetect_jax.faces.shots import ShotDetector
from fakedetect_jax.faces.spool import Spool
from fakedetect_jax.faces.track import Tracker
from fakedetect_jax.faces.video import open_video

# What datasets are built with and detectors are exported for: loose enough for every augmentation's own crop.
CROP_SIZE, CROP_MARGIN = 256, 0.3
ALL_FRAMES = FrameChoice()


def extract(
    video: str | os.PathLike[str],
    *,
    size: int = CROP_SIZE,
    margin: float = CROP_MARGIN,
    quality: int = JPEG_QUALITY,
    frames: FrameChoice = ALL_FRAMES,
    detect_every: int = 1,
    max_frames: int | None = None,
    min_face: int = 32,
    min_length: int = 1,
    spool: Path | None = None,
) -> list[FaceSequence]:
    """Find, follow and crop the faces of a video.

    One streaming pass. Memory holds a few decoded frames and, for every face and kept frame, one encoded crop
    (about 20 kB at 256 px): for very long videos choose fewer `frames`, or give a `spool`.

    Args:
        video: a video file, an image, or a folder of frames (natural order of names, taken as 25 frames a
            second).
        size: side of the square crops in pixels.
        margin: the crop's side is (1 + 2 * margin) times the longer side of the 81 landmarks' box, smoothed
            in time.
        quality: of the crops' JPEG, 1 to 100.
        frames: which source frames are kept. Of a video of which frames are kept all over, the others are not
            looked at; else every frame is, so that tracks are the same whatever is kept of them.
        detect_every: look for faces on every so-many-th frame, and between follow the landmarks alone.
        max_frames: look at this many source frames at most.
        min_face: a face must have been this large once (longer side of its detected box, in source pixels).
        min_length: leave out tracks with fewer kept frames.
        spool: folder for a temporary file that holds the crops instead of memory.

    Returns:
        One sequence a track, the most important (largest sum of box areas over time) first; empty when there
        is no face. A hard cut, a change of frame size, or half a second without the face ends a track. A file
        that breaks off gives the sequences up to there, and a logged warning.

    Raises:
        VideoError: nothing there, not a video, or no frame that can be decoded.
        FakedetectError: an option out of range.
    """
    for name, value, least in (
        ("size", size, 16),
        ("margin", margin, 0),
        ("quality", quality, 1),
        ("detect_every", detect_every, 1),
        ("max_frames", max_frames, 1),
        ("min_face", min_face, 1),
        ("min_length", min_length, 1),
    ):
        if value is not None and value < least:
            raise FakedetectError(f"extract: {name}={value} is too small; give at least {least}")
    shots = ShotDetector()
    stride = frames.every if frames.whole else 1
    opened = open_video(video, stride=stride, max_frames=max_frames)
    tracker = Tracker(
        FaceDetector(), FaceMesh(), thumbnail, min_face=min_face, detect_every=detect_every * stride
    )
    cropper = Cropper(
        size,
        margin,
        quality=quality,
        keep=_wanted(frames, opened.length),
        spool=Spool(spool) if spool else None,
    )
    for frame in opened.frames:
        if shots.is_cut(frame.image):
            tracker.reset()
        cropper.add(frame, tracker.update(frame.image, frame.index))
    cropper.finish()
    kept = [track for track in cropper.tracks.values() if len(track.frames) >= max(min_length, 1)]
    kept.sort(key=_importance, reverse=True)
    return [_sequence(number, track, opened.fps) for number, track in enumerate(kept)]


def _wanted(frames: FrameChoice, length: int) -> Callable[[int], bool]:
    if frames.whole:  # the video yields no others
        return lambda index: True
    return set(frames.positions(length).tolist()).__contains__


def _importance(track: CroppedTrack) -> float:
    boxes = np.array([face.box for face in track.faces])
    return float(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1).sum())


def _sequence(number: int, track: CroppedTrack, fps: float) -> FaceSequence:
    faces = [track.faces[place] for place in track.kept]
    landmarks = [
        warp.apply_affine(affine, face.landmarks) for affine, face in zip(track.affine, faces, strict=True)
    ]
    return FaceSequence(
        track=number,
        fps=fps,
        frame_size=track.frame_size,
        frames=track.frames,
        frame_index=np.array(track.frame_index, np.int32)[track.kept],
        timestamp=np.array(track.timestamp, np.float32)[track.kept],
        box=np.array([face.box for face in faces], np.float32),
        landmarks=np.array(landmarks, np.float32),
        confidence=np.array([face.confidence for face in faces], np.float32),
        affine=np.array(track.affine, np.float32),
    )
