"""The face pipeline in one function: detect, track, crop, and tell people apart."""

import functools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.appearance import TrackAppearance, group_by_person, thumbnail
from fakedetect_jax.faces.crop import CroppedTrack, Cropper
from fakedetect_jax.faces.networks import FaceDetector, FaceMesh
from fakedetect_jax.faces.options import Extraction, FrameChoice
from fakedetect_jax.faces.sequence import ExtractedFaces, FaceSequence, Spool
from fakedetect_jax.faces.tracking import ShotDetector, Tracker
from fakedetect_jax.faces.video import Bordered, Video, open_video

_DEFAULT = Extraction()
_LONGEST_PAUSE = 1.0  # seconds
# Containers of sound and pictures count a few frames too many, or too few.
_ROUGHLY = 0.02


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
    max_seconds: float | None = None,
    min_face: int = 32,
    min_length: int = 1,
    spool: Path | None = None,
    progress: Callable[[], None] | None = None,
) -> ExtractedFaces:
    """Find, follow and crop the faces of a video.

    The video is read in one streaming pass, or in two if a number of frames is to be spread over it that it states
    wrongly. Memory holds a few decoded frames and, for every face and kept frame, its
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
        max_seconds: Look at no more than this many seconds of the video.
        min_face: Leave out faces that were never this large (longer side of the detected box, in source pixels).
        min_length: Leave out tracks with fewer kept frames.
        spool: Folder for a temporary file that holds the crops instead of memory.
        progress: Is called with every decoded frame.

    Returns:
        One sequence for each track, the most important one (largest sum of box areas over time) first; empty if there
        is no face. A hard cut, a change of frame size, half a second without the face, or a second without any frame
        ends a track. A file that
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
    options = Extraction(size, margin, quality, frames, detect_every, face_crops)
    for name, value in (("max_frames", max_frames), ("min_face", min_face), ("min_length", min_length)):
        if value is not None and value < 1:
            raise FakedetectError(f"extract_faces: {name}={value} is too small; give at least 1")
    if max_seconds is not None and not max_seconds > 0:
        raise FakedetectError(f"extract_faces: max_seconds={max_seconds} is too small; give more than 0")
    follow = functools.partial(
        _follow,
        video,
        options,
        max_frames=max_frames,
        max_seconds=max_seconds,
        min_face=min_face,
        spool=spool,
        progress=progress,
    )
    followed = follow(length=None)
    if _misses(frames, followed):
        followed = follow(length=followed.video.decoded)
    opened = followed.video
    kept = [track for track in followed.tracks if len(track.frames) >= max(min_length, 1)]
    kept.sort(key=lambda track: track.importance, reverse=True)
    sequences = _sequences(kept, fps=opened.fps, video_frames=followed.looked_at)
    return ExtractedFaces(sequences, decoded=opened.decoded, damage=opened.damage)


class _Followed(NamedTuple):
    """The tracks of a video that was read with frames spread over `length` of them."""

    video: Video
    length: int
    tracks: list[CroppedTrack]
    looked_at: int


def _follow(
    path: str | os.PathLike[str],
    options: Extraction,
    *,
    length: int | None,
    max_frames: int | None,
    max_seconds: float | None,
    min_face: int,
    spool: Path | None,
    progress: Callable[[], None] | None,
) -> _Followed:
    frames = options.frames
    stride = frames.every if frames.whole else 1
    video = open_video(path, stride=stride, max_frames=max_frames, max_seconds=max_seconds)
    length = 0 if frames.whole else length or video.length()
    wanted = _wanted(frames, length)
    cropper = Cropper(
        options.size,
        options.margin,
        quality=options.quality,
        keep=wanted,
        spool=Spool(spool) if spool else None,
    )
    tracker = Tracker(
        FaceDetector(),
        FaceMesh(),
        thumbnail,
        fps=video.fps,
        min_face=min_face,
        detect_every=options.detect_every * stride,
    )
    shots = ShotDetector()
    prepared: Callable = Bordered() if options.face_crops else lambda image: image
    looked_at, seen_until = 0, math.inf
    longest = max(_LONGEST_PAUSE, 2 * stride / video.fps)
    for frame in video.frames:
        if progress is not None:
            progress()
        frame = frame._replace(image=prepared(frame.image))
        if shots.is_cut(frame.image) or frame.timestamp - seen_until > longest:
            tracker.reset()
        seen_until = frame.timestamp
        cropper.add(frame, tracker.update(frame.image, frame.index))
        looked_at += wanted(frame.index)
    cropper.finish()
    return _Followed(video, length, list(cropper.tracks.values()), looked_at)


def _misses(frames: FrameChoice, followed: _Followed) -> bool:
    """Return whether frames were spread over a number of frames that the video does not have, but for a few."""
    stated, found = followed.length, followed.video.decoded
    if frames.whole or stated == found:
        return False
    return abs(stated - found) > _ROUGHLY * found or frames.positions(stated)[-1] >= found


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
