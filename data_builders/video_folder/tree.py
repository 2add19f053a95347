"""The videos below real/ and fake/METHOD/, and a note on everything there that is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.engine.file_names import as_text, is_clutter, listed
from fakedetect_jax.data_builders.engine.links import leads_out
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.video_item import FAKE
from fakedetect_jax.faces.video import IMAGE_SUFFIXES

TOPS = (REAL, FAKE)
# What FFmpeg decodes: containers, broadcasters' and cameras' streams, moving pictures, raw streams.
_CONTAINERS = (
    ".3g2 .3gp .asf .avi .divx .dv .f4v .flv .m2t .m2ts .m4v .mkv .mov .mp4 .mpe .mpeg .mpg .mpv .mts .mxf .nut .ogm "
    ".ogv .qt .rm .rmvb .ts .vob .webm .wmv .wtv"
)
_STREAMS = ".264 .265 .avc .av1 .h264 .h265 .hevc .ivf .m1v .m2v .mjpeg .mjpg .obu .y4m"
_MOVING_PICTURES = ".avif .gif"
VIDEO_SUFFIXES = frozenset(f"{_CONTAINERS} {_STREAMS} {_MOVING_PICTURES}".split())


class Footage(NamedTuple):
    """A video, given by its path below the source: a file, or a folder of frames."""

    path: str
    is_folder: bool


def find_videos(source: Path) -> tuple[list[Footage], list[str]]:
    """Return the videos below real/ and fake/, whose names may have capitals, and notes on what is left out.

    A folder with images and without video files is itself a video. Links to folders are followed within `source`.

    Raises:
        SourceError: Images lie directly in real/ or fake/.
    """
    tree = _Tree(source)
    videos: list[Footage] = []
    for top in tree.tops:
        videos += sorted(tree.walk(top))
    return videos, tree.notes()


class _Tree:
    """One walk through the source.

    Attributes:
        tops: The names of the folders of videos, real ones first.
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        # What each folder really is, so that none is walked twice.
        self._walked: set[str] = set()
        self._outside: list[str] = []
        self._again: list[str] = []
        self._empty: list[str] = []
        self._too_deep: list[str] = []
        self._unreadable: list[str] = []
        self._no_videos: list[str] = []
        there = sorted(path.name for path in source.iterdir() if not is_clutter(path.name))
        tops = [name for name in there if name.lower() in TOPS and (source / name).is_dir()]
        self._beside = [name for name in there if name not in tops]
        self._places = [os.path.realpath(source / name) for name in tops if not (source / name).is_symlink()]
        self.tops = [name for name in sorted(tops, key=_is_fake) if self._enters(source / name)]
        self._places = [os.path.realpath(source / name) for name in self.tops]

    def walk(self, top: str) -> Iterator[Footage]:
        """Yield the videos below a folder.

        Raises:
            SourceError: Images lie directly in it.
        """
        for folder, below, names in os.walk(self._source / top, followlinks=True, onerror=self._note_error):
            here = Path(folder)
            below[:] = sorted(name for name in below if not is_clutter(name))
            names = [name for name in sorted(names) if not is_clutter(name)]
            shown = [name for name in names if self._is_inside(here / name)]
            if not shown and not below:
                self._empty.append(self._name(here))
            files = [name for name in shown if _suffix(name) in VIDEO_SUFFIXES]
            images = [name for name in shown if _suffix(name) in IMAGE_SUFFIXES]
            if images and not files:
                if here == self._source / top:
                    raise SourceError(
                        f"{as_text(here)}: {as_text(images[0])} is directly in it; put the frames of each video into a "
                        "folder of its own"
                    )
                # Masks and thumbnails are not videos of their own.
                self._too_deep += [self._name(here / name) for name in below]
                below.clear()
                files = images
                if len(shown) == len(names):
                    yield Footage(self._name(here), is_folder=True)
                else:  # a frame leads out, and the decoder would read it
                    self._outside.append(self._name(here))
            else:
                yield from (Footage(self._name(here / name), is_folder=False) for name in files)
            used = set(files)
            self._no_videos += [self._name(here / name) for name in shown if name not in used]
            below[:] = [name for name in below if self._enters(here / name)]

    def notes(self) -> list[str]:
        """Return a sentence on each kind of thing that is left out."""
        kinds = Counter(_suffix(name) or "none" for name in self._no_videos)
        suffixes = ", ".join(f"{as_text(suffix)}: {count}" for suffix, count in kinds.most_common())
        missing = [f"{top}/" for top in TOPS if top not in map(str.lower, self.tops)]
        found = [
            (missing, "There is no folder"),
            (self._beside, "Left out, as it is not in real/ or fake/"),
            (self._no_videos, f"Left out, as the suffix is no video's ({suffixes})"),
            (
                self._outside,
                "Left out, as it is a link that leads out of --source (to use it, give a --source that holds both, "
                "with a videos.csv)",
            ),
            (self._again, "Left out, as it is a link to a folder that is listed already"),
            (self._empty, "Without any video"),
            (self._too_deep, "Left out, as it is within a folder of frames"),
            (self._unreadable, "Left out, as it cannot be read"),
        ]
        return [f"{note}: {listed(names)}." for names, note in found if names]

    def _enters(self, folder: Path) -> bool:
        """Return whether to walk a folder; a link must lead to one that the walk does not meet anyway."""
        if not self._is_inside(folder):
            return False
        place = os.path.realpath(folder)
        met = folder.is_symlink() and any(_overlap(place, other) for other in self._places)
        if met or place in self._walked:
            self._again.append(self._name(folder))
            return False
        self._walked.add(place)
        return True

    def _is_inside(self, path: Path) -> bool:
        if leads_out(path, self._source):
            self._outside.append(self._name(path))
            return False
        return True

    def _note_error(self, error: OSError) -> None:
        self._unreadable.append(self._name(Path(error.filename)))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._source).as_posix()


def _is_fake(name: str) -> bool:
    return name.lower() == FAKE


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _overlap(one: str, other: str) -> bool:
    """Return whether one of two folders holds the other, or they are the same."""
    return os.path.commonpath([one, other]) in (one, other)
