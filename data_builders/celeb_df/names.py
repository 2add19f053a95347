"""What the folders and file names of Celeb-DF say of who is seen."""

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
    """Returns the official name of a folder in either spelling, None for another folder."""
    return next((kind for kind, spellings in SPELLINGS.items() if folder in spellings), None)


def parse(kind: str, stem: str) -> tuple[str, str] | None:
    """Returns who is seen and whose face was put in ('' in a real video); None for a name of no video of `kind`.

    'id0_0000' -> id0; 'id0_id1_0000' -> id0 with the face of id1; '00012' -> youtube-00012, somebody seen once.
    """
    match = _NAMES[kind].fullmatch(stem)
    if not match:
        return None
    if kind == YOUTUBE:
        return f"youtube-{stem}", ""
    return match[1], match[2] if kind == FAKES else ""
