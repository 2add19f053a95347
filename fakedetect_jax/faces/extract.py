"""The face pipeline as one function."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import people
from fakedetect_jax.faces.appearance import thumbnail
from fakedetect_jax.faces.choice import FrameChoice
from fakedetect_jax.faces.crop import CroppedTrack, Cropper
from fakedetect_jax.faces.detect import FaceDetector
from fakedetect_jax.faces.extraction import Extraction
from fakedetect_jax.faces.mesh import FaceMesh
from fakedetect_jax.faces.ready import Bordered
from fakedetect_jax.faces.sequence import FaceSequence
from fakedetect_jax.faces.shots import ShotDetector
from fakedetect_jax.faces.spool import Spool
from fakedetect_jax.faces.track import Tracker
from fakedetect_jax.faces.video import open_video

_DEFAULT = Extraction()


def extract(
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
) -> list[FaceSequence]:
    """Find, follow and crop the faces of a video.

    One streaming pass. Memory holds a few decoded frames and, for every face and kept frame, its landmarks (about
    1 kB) and one encoded crop (about 20 kB at 256 px), unless a `spool` takes the crops.

    Args:
        video: a video file, an image, or a folder of frames (natural order of names, taken as 25 frames a
            second).
        size, margin, quality, frames, detect_every, face_crops: see `Extraction`. Of a video of which frames are
            kept all over, the others are not looked at; else every frame is, so that tracks are the same whatever
            is kept of them. Of `face_crops`, coordinates are those of the crop in a bordered square.
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

    Example:
        >>> extract("interview.mp4", frames=FrameChoice(every=5))  # doctest: +SKIP
        [FaceSequence(...), FaceSequence(...)]
    """
    Extraction(size, margin, quality, frames, detect_every, face_crops)
    for name, value in (("max_frames", max_frames), ("min_face", min_face), ("min_length", min_length)):
        if value is not None and value < 1:
            raise FakedetectError(f"extract: {name}={value} is too small; give at least 1")
    stride = frames.every if frames.whole else 1
    opened = open_video(video, stride=stride, max_frames=max_frames)
    wanted = _wanted(frames, opened.length)
    cropper = Cropper(size, margin, quality=quality, keep=wanted, spool=Spool(spool) if spool else None)
    tracker = Tracker(
        FaceDetector(), FaceMesh(), thumbnail, min_face=min_face, detect_every=detect_every * stride
    )
    shots = ShotDetector()
    prepared: Callable = Bordered() if face_crops else lambda image: image
    looked_at = 0
    for frame in opened.frames:
        frame = frame._replace(image=prepared(frame.image))
        if shots.is_cut(frame.image):
            tracker.reset()
        cropper.add(frame, tracker.update(frame.image, frame.index))
        looked_at += wanted(frame.index)
    cropper.finish()
    kept = [track for track in cropper.tracks.values() if len(track.frames) >= max(min_length, 1)]
    kept.sort(key=lambda track: track.importance, reverse=True)
    return _sequences(kept, fps=opened.fps, video_frames=looked_at)


def _wanted(frames: FrameChoice, length: int) -> Callable[[int], bool]:
    if frames.whole:  # the video yields no others
        return lambda index: True
    return set(frames.positions(length).tolist()).__contains__


def _sequences(tracks: list[CroppedTrack], **video: Any) -> list[FaceSequence]:
    persons = people.group(
        [people.Seen(np.array(track.seen), track.look, track.importance) for track in tracks]
    )
    return [
        _sequence(track, track=number, person=person, **video)
        for number, (track, person) in enumerate(zip(tracks, persons, strict=True))
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
