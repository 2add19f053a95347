"""Symbolic links of a download, which must not lead out of it: an unpacked archive may hold any."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from fakedetect_jax.data_builders.engine.file_names import as_text
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.video_item import VideoItem


def leads_out(path: Path, folder: Path) -> bool:
    """Return whether `path` itself is a link to a place outside of `folder`."""
    return os.path.islink(path) and not _is_within(os.path.realpath(path), [os.path.realpath(folder)])


def check_links(items: Iterable[VideoItem], source: Path, linked: Sequence[str] = ()) -> None:
    """Check that no video or mask, and no folder on the way to it, is a link out of `source`.

    Args:
        items: The videos; those that are not files are passed over.
        source: The folder of the download.
        linked: Names in it that its user is told to link to another folder; what is there is as good as inside.

    Raises:
        SourceError: The message names the file, and where it leads.
    """
    roots = [os.path.realpath(source / name) for name in ("", *linked)]
    # Most videos share their folder with many others, and a network file system takes long for each link.
    place_of = functools.cache(os.path.realpath)
    for path in (path for item in items for path in (item.source, item.mask) if isinstance(path, Path)):
        places = {path: os.path.join(place_of(path.parent), path.name)}
        places |= {link: os.path.realpath(link) for link in _links(path)}
        for link, place in places.items():
            if not _is_within(place, roots):
                raise SourceError(
                    f"{as_text(link)}: a symbolic link leads out of {as_text(source)}, to {as_text(place)}; copy or "
                    "mount the files there, or name a folder that holds both in --source"
                )


def _links(path: Path) -> list[Path]:
    """Return the links among a video and its frames, if it is a folder of them."""
    links = [path] if os.path.islink(path) else []
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            links += [Path(entry.path) for entry in entries if entry.is_symlink()]
    return links


def _is_within(place: str, roots: Sequence[str]) -> bool:
    return any(os.path.commonpath([place, root]) == root for root in roots)
