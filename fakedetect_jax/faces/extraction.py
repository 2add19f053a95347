"""How videos become face crops: what decides the pixels of every clip besides the video."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.choice import FrameChoice

ALL_FRAMES = FrameChoice()


@dataclasses.dataclass(frozen=True)
class Extraction:
    """The options of `faces.extract`: part of a built dataset, of the runs that learn from it, and of the detector.

    Attributes:
      size: side of the square crops in pixels, 16 to 2048.
      margin: the crop's side is (1 + 2 * margin) times the longer side of the 81 landmarks' box, 0 to 2.
      quality: of the crops' JPEG, 1 to 100.
      frames: which source frames are kept.
      detect_every: faces are looked for on every so-many-th frame; between them landmarks alone are followed.
      face_crops: the pictures are crops of one face each already.

    Raises:
      FakedetectError: an option out of range.
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
                raise FakedetectError(f"{name}={getattr(self, name)!r} is no whole number")
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
        """Returns what `dataclasses.asdict` made a document of.

        Raises:
          FakedetectError: a field is missing, which must not become its default, or a value is out of range.
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
        """What to give `fakedetect build` for these options; '' for the defaults."""
        frames = {"every": self.frames.every, "count": self.frames.count, "run-length": self.frames.run}
        parts = [
            f"--{name} {value}" for name, value in frames.items() if value != (0 if name == "count" else 1)
        ]
        for name, value in self._unusual().items():
            parts.append(f"--{name.replace('_', '-')}" + (f" {value}" if name != "face_crops" else ""))
        return " ".join(parts)

    def same_crops(self, other: Extraction) -> bool:
        """Whether both make the same crops of a face; whether they had to be cut out first decides nothing."""
        return dataclasses.replace(self, face_crops=False) == dataclasses.replace(other, face_crops=False)

    def _unusual(self) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(self) if field.name != "frames"]
        return {name: getattr(self, name) for name in names if getattr(self, name) != getattr(_DEFAULT, name)}


_DEFAULT = Extraction()
