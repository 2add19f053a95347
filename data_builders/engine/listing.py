"""What a dataset's builder finds in a download: the videos, and what its user should know about them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from fakedetect_jax.data import schema
from fakedetect_jax.errors import FakedetectError

TRAIN, VALIDATION, TEST = "train", "validation", "test"


class SourceError(FakedetectError):
    """A download that does not hold what the builder needs; names the thing, the place and the remedy."""


@dataclasses.dataclass(frozen=True)
class VideoItem:
    """One video of a dataset and what its publisher says of it.

    Attributes:
      video_id: unique among the videos of its method.
      split: 'train', 'validation' or 'test'.
      method: 'real', or the name of the forgery method.
      source: whatever the builder's `materialise` turns into a video file or a folder of frames, most often its
        path.
      identity: who is seen, '' if unknown; what the splits must not share, and what intervals are clustered by.
      source_identity: whose face or motion was put in, '' if none or unknown.
      compression: as the publisher names it, '' if there is one only.
      mask: video of the manipulated region, where the publisher gives one.
    """

    video_id: str
    split: str
    method: str
    source: Any
    identity: str
    source_identity: str = ""
    compression: str = ""
    mask: Path | None = None

    @property
    def key(self) -> str:
        """The identity of the record: videos of the same name from two methods stay two videos."""
        return f"{self.method}/{self.video_id}"

    @property
    def label(self) -> int:
        """1 = fake."""
        return int(self.method != schema.REAL)


@dataclasses.dataclass(frozen=True)
class Listing:
    """All videos of a dataset, known without opening any.

    Attributes:
      items: every video of every split that there is, or that the publisher's lists name and that is missing on
        disk, in a fixed order.
      notes: what was decided or left out, a sentence each.
      published: the publisher's number of videos by (split, method), where there is one.
    """

    items: list[VideoItem]
    notes: list[str] = dataclasses.field(default_factory=list)
    published: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)

    def missing(self) -> list[VideoItem]:
        """The items whose `source` is a path at which there is nothing."""
        return [item for item in self.items if isinstance(item.source, Path) and not item.source.exists()]


def require(path: Path, *, what: str, remedy: str) -> Path:
    """Returns the path if there is something.

    Raises:
      SourceError: there is nothing.
    """
    if not path.exists():
        raise SourceError(f"{path}: {what} is missing; {remedy}")
    return path


def cut_validation(groups: list[str], *, share: float, seed: int) -> set[str]:
    """Draws the groups (people, source videos) of a validation split where the publisher has none.

    The same groups give the same draw whatever their order; at least one group is drawn and one is left.

    Raises:
      SourceError: fewer than two groups.
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise SourceError(
            f"{len(names)} groups cannot be cut in two: there must be at least 2, found {names}"
        )
    count = min(max(1, round(share * len(names))), len(names) - 1)
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[index] for index in order[:count]}
