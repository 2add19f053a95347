"""The work on one video: make it a file, extract its faces, and write what came out to the journal."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.main_person import main_person
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.trouble import Trouble
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.faces import ExtractedFaces, Extraction, VideoError, extract_faces

Materialise = Callable[[VideoItem, Path], Path]
"""Takes an item and an empty folder of its own, and returns a video file or a folder of frames."""
Progress = Callable[[], None]
"""Is called when the decoder begins, with every frame that it gives, and with every part that is written."""
Work = Callable[[VideoItem, Progress], Trouble | None]


def make_work(journal: Journal, extraction: Extraction, materialise: Materialise) -> Work:
    """Return `extract_item` as a function of an item and its progress, which other processes can import."""
    return functools.partial(extract_item, journal=journal, extraction=extraction, materialise=materialise)


def extract_item(
    item: VideoItem,
    progress: Progress,
    *,
    journal: Journal,
    extraction: Extraction,
    materialise: Materialise,
) -> Trouble | None:
    """Do one video, unless the journal has it, and write its outcome and its tracks to the journal.

    The outcome holds `tracks` and `frames` of all people; `seen`, how many of the video's frames were to be kept, and
    `missed`, how many of these lack the main person; `main`, the main person's number, or -1; `main_by`, how that is
    known (see main_person.py), or ''; `failure`, why the video itself gives no face, or ''; and `damage`, what of it
    could not be decoded, or ''.

    Returns:
        None, or what kept the video from being done without being its fault: then the journal has no entry.
    """
    try:
        if not journal.has(item):
            _extract_item(item, progress, journal, extraction, materialise)
    except Exception as error:
        return Trouble.of(item, error)
    return None


def _extract_item(
    item: VideoItem,
    progress: Progress,
    journal: Journal,
    extraction: Extraction,
    materialise: Materialise,
) -> None:
    with journal.scratch() as folder:
        try:
            video = materialise(item, folder)
            progress()
            faces = extract_faces(video, spool=folder, progress=progress, **vars(extraction))
            tracks, outcome = faces.tracks, describe(item, faces, progress)
        except (VideoError, SourceError, cv2.error) as error:
            _check_blame(error, folder)
            tracks, outcome = [], failed(f"{type(error).__name__}: {error}")
        journal.write(item, outcome, tracks, progress)


def _check_blame(error: Exception, folder: Path) -> None:
    """Raise what is behind an error that only seems to be the video's fault."""
    if isinstance(error, cv2.error) and getattr(error, "code", None) == cv2.Error.StsNoMem:
        raise error
    # If this build's parent is dead, the build that took over sweeps the folder away.
    folder.stat()


def describe(item: VideoItem, faces: ExtractedFaces, progress: Progress) -> dict[str, Any]:
    """Return the outcome of a video that could be read."""
    tracks = faces.tracks
    if not tracks:
        return failed("no face found") | {"damage": faces.damage}
    main, known_by = main_person(tracks, item.mask, progress)
    seen = tracks[0].video_frames
    return {
        "tracks": len(tracks),
        "frames": sum(len(track) for track in tracks),
        "seen": seen,
        "missed": seen - sum(len(track) for track in tracks if track.person == main),
        "main": main,
        "main_by": known_by,
        "failure": "",
        "damage": faces.damage,
    }


def failed(reason: str) -> dict[str, Any]:
    """Return the outcome of a video without any face track."""
    nothing = dict.fromkeys(("tracks", "frames", "seen", "missed"), 0)
    return nothing | {"main": -1, "main_by": "", "failure": reason, "damage": ""}
