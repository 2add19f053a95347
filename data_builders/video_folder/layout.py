"""The videos of anybody's tree of real/ and fake/METHOD/, or those that a CSV in it lists."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path, PurePosixPath

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.engine.file_names import as_text
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.splits import TEST
from fakedetect_jax.data_builders.engine.video_item import FAKE, Listing, VideoItem
from fakedetect_jax.data_builders.video_folder.table import TABLE, read_table
from fakedetect_jax.data_builders.video_folder.tree import Footage, find_videos


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
    """Return the method of a path that begins with real/ or fake/, in any case.

    Below fake/, it is the next folder's name, or 'fake' for a video directly in fake/.

    Raises:
        SourceError: A forgery method is called 'real'.
    """
    parts = PurePosixPath(path).parts
    if parts[0].lower() == REAL:
        return REAL
    method = parts[1] if len(parts) > 2 else FAKE
    if method.lower() == REAL:
        raise SourceError(f"{as_text(path)}: a forgery method cannot be called 'real'; rename the folder")
    return method


def _list_table(source: Path) -> Listing:
    rows = [row._replace(path=_as_on_disk(source, row.path)) for row in read_table(source / TABLE)]
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


def _as_on_disk(source: Path, path: str) -> str:
    """Return a path as the disk spells it, where an accent and its letter may be one character or two."""
    spellings = (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
    return next((spelling for spelling in spellings if (source / spelling).exists()), path)


def _list_tree(source: Path) -> Listing:
    videos, notes = find_videos(source)
    if not videos:
        raise SourceError(
            f"{as_text(source)}: no video in real/ or fake/METHOD/ (such as .mp4, or a folder of frames), and no "
            f"{TABLE}; name the folder that holds them. {' '.join(notes)}"
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
    about = f"Without {TABLE}, all videos are in the split test, and who they show is unknown."
    return Listing(items, [about, *notes])
