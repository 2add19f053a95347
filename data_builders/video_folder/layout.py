"""The videos of anybody's tree of real/ and fake/METHOD/, or those that a CSV in it lists."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.splits import TEST
from fakedetect_jax.data_builders.engine.video_item import FAKE, Listing, VideoItem
from fakedetect_jax.data_builders.video_folder.table import TABLE, read_table
from fakedetect_jax.faces.video import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})


class Footage(NamedTuple):
    """A video, given by its path below the source: a file, or a folder of frames."""

    path: str
    is_folder: bool


def list_videos(source: Path) -> Listing:
    """Return the videos that videos.csv lists or, without one, those below real/ and fake/.

    Raises:
        SourceError: Neither is there, or something in them cannot be understood.
    """
    if (source / TABLE).exists():
        return _list_table(source)
    return _list_tree(source)


def video_ids(videos: list[Footage]) -> list[str]:
    """Return a distinct name for each video: its path without the suffix, or with it if that would be ambiguous."""
    short = [
        video.path if video.is_folder else str(PurePosixPath(video.path).with_suffix("")) for video in videos
    ]
    counts = Counter(short)
    paths = {video.path for video in videos}
    return [
        name if counts[name] == 1 and (name == video.path or name not in paths) else video.path
        for name, video in zip(short, videos, strict=True)
    ]


def method_of(path: str) -> str:
    """Return the method of a path that begins with real/ or fake/.

    Below fake/, it is the next folder's name, or 'fake' for a video directly in fake/.

    Raises:
        SourceError: A forgery method is called 'real'.
    """
    parts = PurePosixPath(path).parts
    if parts[0] == REAL:
        return REAL
    method = parts[1] if len(parts) > 2 else FAKE
    if method == REAL:
        raise SourceError(f"{path}: a forgery method cannot be called 'real'; rename the folder")
    return method


def _list_table(source: Path) -> Listing:
    rows = read_table(source / TABLE)
    ids = video_ids([Footage(row.path, (source / row.path).is_dir()) for row in rows])
    items = [
        VideoItem(
            video_id=name,
            split=row.split,
            method=row.method,
            source=source / row.path,
            identity=row.identity,
        )
        for name, row in zip(ids, rows, strict=True)
    ]
    notes = [f"{TABLE} says which videos there are; others in the folder are ignored."]
    return Listing(items, notes)


def _list_tree(source: Path) -> Listing:
    notes = [f"Without {TABLE}, all videos are in the split test, and who they show is unknown."]
    videos: list[Footage] = []
    for top in (REAL, FAKE):
        if (source / top).is_dir():
            videos += sorted(_walk(source, top, notes))
        else:
            notes.append(f"There is no folder {top}/.")
    if not videos:
        raise SourceError(
            f"{source}: no video in real/ or fake/METHOD/ ({' '.join(sorted(VIDEO_SUFFIXES))}, or a folder of "
            f"frames), and no {TABLE}; name the folder that holds them"
        )
    items = [
        VideoItem(
            video_id=name,
            split=TEST,
            method=method_of(video.path),
            source=source / video.path,
            identity="",
        )
        for name, video in zip(video_ids(videos), videos, strict=True)
    ]
    return Listing(items, notes)


def _walk(source: Path, top: str, notes: list[str]) -> Iterator[Footage]:
    """Yield the videos below a folder; a folder with images and without video files is itself a video."""
    ignored = links = 0
    for folder, below, names in os.walk(source / top):
        here = Path(folder).relative_to(source).as_posix()
        below[:] = [name for name in below if not name.startswith(".")]
        links += sum(os.path.islink(os.path.join(folder, name)) for name in below)
        shown = [name for name in names if not name.startswith(".")]
        files = [name for name in shown if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES]
        images = [name for name in shown if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES]
        if images and not files:
            if here == top:
                raise SourceError(
                    f"{folder}: {images[0]} is directly in it; put the frames of each video into a folder of its own"
                )
            # Deeper folders (masks, thumbnails) are not videos of their own.
            below.clear()
            yield Footage(here, is_folder=True)
            continue
        ignored += len(shown) - len(files)
        yield from (Footage(f"{here}/{name}", is_folder=False) for name in files)
    if ignored:
        notes.append(
            f"{ignored} files in {top}/ are neither videos nor in a folder of frames and are ignored."
        )
    if links:
        notes.append(f"{links} links to folders in {top}/ are not followed; list their videos in {TABLE}.")
