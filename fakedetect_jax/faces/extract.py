"""The face pipeline in one function: detect, track, crop, and tell people apart."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.appearance import TrackAppearance, group_by_person, thumbnail
from fakedetect_jax.faces.crop import CroppedTrack, Cropper
from fakedetect_jax.faces.networks import FaceDetector, FaceMesh
from fakedetect_jax.faces.options import Extraction, FrameChoice
from fakedetect_jax.faces.sequence import ExtractedFaces, FaceSequence, Spool
from fakedetect_jax.faces.tracking import ShotDetector, Tracker
from fakedetect_jax.faces.video import Bordered, open_video

_DEFAULT = Extraction()


def extract_faces(
    video: str | os.PathLike[str],
    *,
    size: int = _DEFAULT.size,
    margin: float = _DEFAULT.margin,
    quality: int = _DEFAULT.quality,
    frames: FrameChoice = _DEFAULT.frames,
    detect_every: int = _DEFAULT.detect_every,
    face_crops: bool = _DEFAULT.face_crops,
    max_frames: int | None = None,
    min_face: int = 32,
    min_length: int = 1,
    spool: Path | None = None,
    progress: Callable[[], None] | None = None,
) -> ExtractedFaces:
    """Find, follow and crop the faces of a video.

    The video is read in one streaming pass. Memory holds a few decoded frames and, for every face and kept frame, its
    landmarks (about 1 kB) and one encoded crop (about 20 kB at 256 px), unless a `spool` takes the crops.

    Args:
        video: A video file, an image, or a folder of frames (in natural order of their names, at 25 frames a second).
        size: Side of the square crops in pixels, 16 to 2048.
        margin: The crop's side is (1 + 2 * margin) times the longer side of the landmarks' box, 0 to 2.
        quality: JPEG quality of the crops, 1 to 100.
        frames: Which source frames are kept. If they are every k-th all over the video, the others are not looked at;
            otherwise every frame is, so that tracks do not depend on which frames are kept.
        detect_every: Detect faces on every so-many-th frame; in between, landmarks alone are followed.
        face_crops: Whether the pictures are crops of one face each already. Coordinates are then those of the crop in
            a square with a border.
        max_frames: Look at this many source frames at most.
        min_face: Leave out faces that were never this large (longer side of the detected box, in source pixels).
        min_length: Leave out tracks with fewer kept frames.
        spool: Folder for a temporary file that holds the crops instead of memory.
        progress: Is called with every decoded frame.

    Returns:
        One sequence for each track, the most important one (largest sum of box areas over time) first; empty if there
        is no face. A hard cut, a change of frame size, or half a second without the face ends a track. A file that
        breaks off gives the sequences up to there; its `damage` says so.

    Raises:
        VideoError: The path is missing, is not a video, or holds no frame that can be decoded.
        FakedetectError: An option out of range.

    Example:
        A clip of 24 frames that shows one man:

        >>> (face,) = extract_faces("interview.mp4", frames=FrameChoice(every=6))
        >>> face.frame_index.tolist(), face.landmarks.shape, face.decode(0).shape
        ([0, 6, 12, 18], (4, 81, 2), (256, 256, 3))
    """
    Extraction(size, margin, quality, frames, detect_every, face_crops)
    for name, value in (("max_frames", max_frames), ("min_face", min_face), ("min_length", min_length)):
        if value is not None and value < 1:
            raise FakedetectError(f"extract_faces: {name}={value} is too small; give at least 1")
    stride = frames.every if frames.whole else 1
    opened = open_video(video, stride=stride, max_frames=max_frames)
    wanted = _wanted(frames, opened.length)
    cropper = Cropper(size, margin, quality=quality, keep=wanted, spool=Spool(spool) if spool else None)
    tracker = Tracker(
        FaceDetector(),
        FaceMesh(),
        thumbnail,
        fps=opened.fps,
        min_face=min_face,
        detect_every=detect_every * stride,
    )
    shots = ShotDetector()
    prepared: Callable = Bordered() if face_crops else lambda image: image
    looked_at = 0
    for frame in opened.frames:
        if progress is not None:
            progress()
        frame = frame._replace(image=prepared(frame.image))
        if shots.is_cut(frame.image):
            tracker.reset()
        cropper.add(frame, tracker.update(frame.image, frame.index))
        looked_at += wanted(frame.index)
    cropper.finish()
    kept = [track for track in cropper.tracks.values() if len(track.frames) >= max(min_length, 1)]
    kept.sort(key=lambda track: track.importance, reverse=True)
    sequences = _sequences(kept, fps=opened.fps, video_frames=looked_at)
    return ExtractedFaces(sequences, decoded=opened.decoded, damage=opened.damage)


def _wanted(frames: FrameChoice, length: int) -> Callable[[int], bool]:
    if frames.whole:  # the video yields no others
        return lambda index: True
    return set(frames.positions(length).tolist()).__contains__


def _sequences(tracks: list[CroppedTrack], **video: Any) -> list[FaceSequence]:
    people = group_by_person(
        [TrackAppearance(np.array(track.seen), track.descriptor, track.importance) for track in tracks]
    )
    return [
        _sequence(track, track=number, person=person, **video)
        for number, (track, person) in enumerate(zip(tracks, people, strict=True))
    ]


def _sequence(cropped: CroppedTrack, **about: Any) -> FaceSequence:
    return FaceSequence(
        frame_size=cropped.frame_size,
        frames=cropped.frames,
        frame_index=np.array(cropped.frame_index, np.int32),
        timestamp=np.array(cropped.timestamp, np.float32),
        box=np.array(cropped.box, np.float32),
        landmarks=np.array(cropped.landmarks, np.float32),
        confidence=np.array(cropped.confidence, np.float32),
        affine=np.array(cropped.affine, np.float32),
        **about,
    )
