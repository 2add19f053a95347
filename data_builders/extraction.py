"""How a dataset's videos become face tracks: what decides the records besides the videos."""

from __future__ import annotations

import dataclasses
from typing import Any

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.choice import FrameChoice
from fakedetect_jax.faces.crop import JPEG_QUALITY
from fakedetect_jax.faces.extract import ALL_FRAMES, CROP_MARGIN, CROP_SIZE


@dataclasses.dataclass(frozen=True)
class Extraction:
    """Options of `faces.extract` that are part of a built dataset's name and metadata."""

    size: int = CROP_SIZE
    margin: float = CROP_MARGIN
    quality: int = JPEG_QUALITY
    frames: FrameChoice = ALL_FRAMES
    detect_every: int = 1

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 2048:
            raise FakedetectError(f"size={self.size}: crops have 16 to 2048 pixels")
        if not 0 <= self.margin <= 2:
            raise FakedetectError(f"margin={self.margin}: give a fraction of the face between 0 and 2")
        if not 1 <= self.quality <= 100:
            raise FakedetectError(f"quality={self.quality}: JPEG qualities lie in 1 to 100")
        if self.detect_every < 1:
            raise FakedetectError(f"detect_every={self.detect_every} is too small; give at least 1")

    def options(self) -> dict[str, Any]:
        """Returns the keyword arguments of `faces.extract`."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def name(self) -> str:
        """What differs from the defaults, as part of a folder's name; '' if nothing does."""
        frames, default = self.frames, Extraction.__dataclass_fields__
        parts = []
        if frames.count:
            parts.append(f"{frames.count}x{frames.run}" if frames.run > 1 else f"spread{frames.count}")
        if frames.every > 1:
            parts.append(f"every{frames.every}")
        parts += [
            f"{field}{getattr(self, field):g}"
            for field in ("size", "margin", "quality", "detect_every")
            if getattr(self, field) != default[field].default
        ]
        return "-".join(parts)
