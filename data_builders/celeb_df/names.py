"""What the folders and file names of Celeb-DF say about who is seen."""

from __future__ import annotations

import re

CELEBRITIES, YOUTUBE, FAKES = "Celeb-real", "YouTube-real", "Celeb-synthesis"
KINDS = (CELEBRITIES, YOUTUBE, FAKES)
# The second spelling comes from the instructions of a widely used training code.
SPELLINGS = {kind: (kind,) for kind in KINDS} | {YOUTUBE: (YOUTUBE, "Youtube-real")}

_NAMES = {
    CELEBRITIES: re.compile("(id[0-9]+)_[0-9]+"),
    FAKES: re.compile("(id[0-9]+)_(id[0-9]+)_[0-9]+"),
    YOUTUBE: re.compile("([0-9]+)"),
}


def kind_of(folder: str) -> str | None:
    """Return the official name of a folder in either spelling, or None for another folder."""
    return next((kind for kind, spellings in SPELLINGS.items() if folder in spellings), None)


def parse(kind: str, stem: str) -> tuple[str, str] | None:
    """Return who is seen and whose face was put in ('' in a real video), or None if no video of `kind` has this name.

    'id0_0000' shows id0, 'id0_id1_0000' shows id0 with the face of id1, and '00012' shows youtube-00012, a person who
    is seen once.
    """
    match = _NAMES[kind].fullmatch(stem)
    if not match:
        return None
    if kind == YOUTUBE:
        return youtube_name(stem), ""
    return match[1], match[2] if kind == FAKES else ""


def youtube_name(stem: str) -> str:
    """Return the name of a YouTube video of five digits, and of the person in it: '00012' is youtube-00012.

    FaceForensics++ numbers its YouTube videos by three digits, so the names of the two datasets never meet.
    """
    return f"youtube-{stem}"
