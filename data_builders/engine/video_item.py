"""What a dataset's builder finds in a download: the videos, and what its user should know about them."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from fakedetect_jax.data import schema
from fakedetect_jax.data_builders.engine.file_names import as_text, same_letters

FAKE = "fake"
"""The method of a fake whose publisher does not say how it was made."""


@dataclasses.dataclass(frozen=True)
class VideoItem:
    """One video of a dataset and what its publisher says about it.

    Attributes:
        video_id: A name that is unique among the videos of its method.
        split: 'train', 'validation' or 'test'.
        method: 'real', or the name of the forgery method.
        source: Whatever the builder's `materialise` turns into a video file or a folder of frames, most often its
            path.
        identity: Who is seen, '' if unknown. Splits must not share it, and confidence intervals are clustered by it. It
            is the dataset's own name, unless it begins with `schema.YOUTUBE`: then it means the same person everywhere.
        source_identity: Whose face or motion was put in, '' if nobody's or unknown.
        compression: The publisher's name for the compression, '' if there is only one.
        mask: A video of the manipulated region, if the publisher gives one.
        state: A digest of all that is known of the video before it is decoded, for whoever keeps what came of it (see
            inputs.py); a listing leaves it ''.
    """

    video_id: str
    split: str
    method: str
    source: Any
    identity: str
    source_identity: str = ""
    compression: str = ""
    mask: Path | None = None
    state: str = ""

    def in_text(self) -> VideoItem:
        """Return the video with names that can be written anywhere, on one line."""
        return dataclasses.replace(
            self,
            video_id=as_text(self.video_id),
            method=same_letters(self.method),
            identity=same_letters(self.identity),
            source_identity=same_letters(self.source_identity),
        )

    @property
    def key(self) -> str:
        """The name of the video within its dataset; two methods may use the same `video_id`."""
        return f"{self.method}/{self.video_id}"

    @property
    def label(self) -> int:
        """1 for a fake, 0 for a real video."""
        return int(self.method != schema.REAL)


@dataclasses.dataclass(frozen=True)
class Listing:
    """All videos of a dataset, found without opening any.

    Attributes:
        items: Every video of every split, in a fixed order: those on disk, and those that the publisher's lists name
            but the disk lacks.
        notes: What was decided or left out, one sentence each.
        published: The publisher's number of videos by (split, method), where it gives one.
    """

    items: list[VideoItem]
    notes: list[str] = dataclasses.field(default_factory=list)
    published: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)

    def missing(self) -> list[VideoItem]:
        """Return the items whose `source` is a path that does not exist."""
        return [
            item for item in self.items if isinstance(item.source, Path) and not os.path.exists(item.source)
        ]
