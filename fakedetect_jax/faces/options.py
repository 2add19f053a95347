"""The options of face extraction: what decides the pixels of every clip besides the video."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int

from fakedetect_jax.errors import FakedetectError


@dataclasses.dataclass(frozen=True)
class FrameChoice:
    """Which frames of a video are kept: all, every k-th, some evenly spread, or dense runs evenly spread.

    Attributes:
        every: Source frames from one kept frame to the next, over the whole video or within a run.
        count: 0 keeps frames all over the video; otherwise this many frames, or this many runs, evenly spread.
        run: Kept frames of a run.

    Raises:
        FakedetectError: A number out of range, or runs without a count.

    Example:
        >>> FrameChoice(count=2, run=3).positions(100).tolist()
        [24, 25, 26, 74, 75, 76]
    """

    every: int = 1
    count: int = 0
    run: int = 1

    def __post_init__(self) -> None:
        for name, least in (("every", 1), ("count", 0), ("run", 1)):
            if getattr(self, name) < least:
                raise FakedetectError(
                    f"frames: {name}={getattr(self, name)} is too small; give at least {least}"
                )
        if self.run > 1 and not self.count:
            raise FakedetectError(f"frames: runs of {self.run} need a number of runs (count)")

    @property
    def whole(self) -> bool:
        """Whether frames are kept all over the video, whatever its length."""
        return self.count == 0

    def positions(self, length: int) -> Int[np.ndarray, " n"]:
        """Return the kept frames of a video of `length` frames, rising; overlapping runs are joined.

        A run lies in the middle of its share of the video, so that neither end is favoured.
        """
        if self.whole:
            return np.arange(0, length, self.every)
        span = self.every * (self.run - 1) + 1
        middles = (np.arange(self.count) + 0.5) * length / self.count
        starts = np.clip(np.floor(middles - (span - 1) / 2), 0, max(length - span, 0))
        chosen = starts[:, None] + self.every * np.arange(self.run)
        return np.unique(chosen[chosen < length].astype(np.int64))


ALL_FRAMES = FrameChoice()


@dataclasses.dataclass(frozen=True)
class Extraction:
    """The options of `extract_faces` that a built dataset, the runs that learn from it and the detector record.

    Attributes:
        size: Side of the square crops in pixels, 16 to 2048.
        margin: The crop's side is (1 + 2 * margin) times the longer side of the landmarks' box, 0 to 2.
        quality: JPEG quality of the crops, 1 to 100.
        frames: Which source frames are kept.
        detect_every: Faces are detected on every so-many-th frame; in between, landmarks alone are followed.
        face_crops: Whether the pictures are crops of one face each already.

    Raises:
        FakedetectError: An option out of range.
    """

    size: int = 256
    margin: float = 0.3
    quality: int = 95
    frames: FrameChoice = ALL_FRAMES
    detect_every: int = 1
    face_crops: bool = False

    def __post_init__(self) -> None:
        for name in ("size", "quality", "detect_every"):
            if not isinstance(getattr(self, name), int):
                raise FakedetectError(f"{name}={getattr(self, name)!r} is not a whole number")
        if not 16 <= self.size <= 2048:
            raise FakedetectError(f"size={self.size}: crops have 16 to 2048 pixels")
        if not (math.isfinite(self.margin) and 0 <= self.margin <= 2):
            raise FakedetectError(f"margin={self.margin}: give a fraction of the face between 0 and 2")
        if not 1 <= self.quality <= 100:
            raise FakedetectError(f"quality={self.quality}: JPEG qualities lie in 1 to 100")
        if self.detect_every < 1:
            raise FakedetectError(f"detect_every={self.detect_every} is too small; give at least 1")

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Extraction:
        """Return the extraction that `dataclasses.asdict` turned into `document`.

        Raises:
            FakedetectError: A field is missing, which must not become its default, or a value is out of range.
        """
        missing = sorted({field.name for field in dataclasses.fields(cls)} - set(document))
        if missing:
            raise FakedetectError(f"extraction lacks {missing}")
        return cls(**{**document, "frames": FrameChoice(**document["frames"])})

    @property
    def name(self) -> str:
        """What differs from the defaults, as part of a folder's name; '' if nothing does."""
        parts = []
        if self.frames.count:
            runs = f"x{self.frames.run}" if self.frames.run > 1 else ""
            parts.append(f"{self.frames.count}{runs}" if runs else f"spread{self.frames.count}")
        if self.frames.every > 1:
            parts.append(f"every{self.frames.every}")
        parts += [f"{name}{value:g}" for name, value in self._unusual().items() if name != "face_crops"]
        return "-".join([*parts, *(["face_crops"] if self.face_crops else [])])

    @property
    def flags(self) -> str:
        """Flags of `fakedetect build` that give these options; '' for the defaults."""
        frames = {"every": self.frames.every, "count": self.frames.count, "run-length": self.frames.run}
        parts = [
            f"--{name} {value}" for name, value in frames.items() if value != (0 if name == "count" else 1)
        ]
        for name, value in self._unusual().items():
            parts.append(f"--{name.replace('_', '-')}" + (f" {value}" if name != "face_crops" else ""))
        return " ".join(parts)

    def same_crops(self, other: Extraction) -> bool:
        """Return whether both make the same crops of a face, whether or not they had to cut them out first."""
        return dataclasses.replace(self, face_crops=False) == dataclasses.replace(other, face_crops=False)

    def _unusual(self) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(self) if field.name != "frames"]
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(_DEFAULT, name)}


_DEFAULT = Extraction()
