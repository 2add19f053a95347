"""The official test list of Celeb-DF, whose labels are the opposite of ours."""

from __future__ import annotations

import re
from pathlib import Path

from fakedetect_jax.data_builders.celeb_df.names import FAKES, KINDS, kind_of, parse
from fakedetect_jax.data_builders.engine.source_files import SourceError, brief

LIST_NAME = "List_of_testing_videos.txt"
_LINE = re.compile(r"([01])\s+([^/\s]+)/(?:videos/)?([^/\s]+)\.mp4")

Video = tuple[str, str]  # (kind of folder, file name without .mp4)


def parse_test_list(content: str, path: Path) -> list[Video]:
    """Parse the lines '<label> <folder>/<file>.mp4', in which 1 is real; `path` is for messages.

    The labels are only checked: the folder says what a video is.

    Raises:
        SourceError: The list is empty, or a line is not as published or contradicts its folder; the message names it.
    """
    videos: dict[Video, None] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            videos[_parse_line(line.strip(), f"{path}, line {number}: {brief(line.strip())}")] = None
    if not videos:
        raise SourceError(
            f"{path}: lists no video; take it from the download again, where it is beside the folders"
        )
    return list(videos)


def _parse_line(line: str, where: str) -> Video:
    match = _LINE.fullmatch(line)
    if not match:
        raise SourceError(
            f"{where} is not '<label> <folder>/<file>.mp4'; take the list from the download again"
        )
    label, folder, stem = match.groups()
    kind = kind_of(folder)
    if kind is None:
        raise SourceError(f"{where} names folder {brief(folder)}; the official ones are {KINDS}")
    if parse(kind, stem) is None:
        raise SourceError(
            f"{where} names {brief(stem)}, but no file of {kind} has such a name; take the list from the download again"
        )
    if (label == "0") != (kind == FAKES):
        raise SourceError(
            f"{where} has label {label} in {kind}; in the official list 1 is real and 0 is fake: "
            "this list has been edited, take it from the download again"
        )
    return kind, stem
