"""What holds of every list of videos, whatever files it was read from."""

from __future__ import annotations

import os
from pathlib import Path

from fakedetect_jax.data_builders.engine.splits import SPLITS
from fakedetect_jax.data_builders.engine.video_item import Listing
from tests.fuzz.target import Wrong


def check_listing(listing: Listing, source: Path) -> None:
    """Raise `Wrong` unless all videos lie below `source`, are in a split, and differ in method or name."""
    if not listing.items and not listing.notes:
        raise Wrong("no video, and no word about it")
    below = os.path.realpath(source) + os.sep
    for item in listing.items:
        place = os.path.realpath(os.fspath(getattr(item.source, "archive", item.source)))
        if not place.startswith(below):
            raise Wrong(f"{item.source} lies outside")
        if item.split not in SPLITS or not item.method or not item.video_id:
            raise Wrong(f"a video without split, method or name: {item}")
        for text in (item.video_id, item.method, item.identity, item.source_identity):
            if "\0" in text:
                raise Wrong(f"a NUL in {text!r}")
            text.encode()  # it is written into records
    names = [(item.split, item.method, item.video_id) for item in listing.items]
    if len(set(names)) < len(names):
        raise Wrong("two videos of one name")
