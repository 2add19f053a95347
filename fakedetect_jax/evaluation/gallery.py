"""The videos to look at: the most confident right, the most confident wrong and the least certain ones."""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.metrics import THRESHOLD

_STRIP_FRAMES = 4
_STRIP_HEIGHT = 144


@runtime_checkable
class Scored(Protocol):
    """An item with a true label (1 = fake) and a score P(fake)."""

    @property
    def label(self) -> int: ...  # noqa: D102
    @property
    def score(self) -> float: ...  # noqa: D102


Item = TypeVar("Item", bound=Scored)


@dataclass(frozen=True)
class GalleryItem:
    """A video to show: RGB frames [T, H, W, 3], its true label and method, and its score P(fake)."""

    frames: UInt8[np.ndarray, "t h w 3"]
    label: int
    method: str
    score: float
    video_id: str
    dataset: str = ""

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or self.frames.shape[-1] != 3:
            raise ValueError(
                f"gallery frames of {self.video_id} are {self.frames.dtype} {self.frames.shape}; "
                "they must be uint8 [T, H, W, 3]"
            )
        if not len(self.frames):
            raise ValueError(f"gallery item {self.video_id} has no frames")
        if not 0 <= self.score <= 1:
            raise FakedetectError(
                f"gallery item {self.video_id}: score {self.score} is not a probability; pass P(fake) in [0, 1]"
            )


@dataclass(frozen=True)
class Choice(Generic[Item]):
    """Disjoint lists, each in the order to show."""

    right: list[Item]
    wrong: list[Item]
    uncertain: list[Item]


def choose(items: Iterable[Item], *, count: int = 4) -> Choice[Item]:
    """Choose up to `count` of each: most confident right, most confident wrong, least certain of the rest.

    Right and wrong ones alternate between reals and fakes as long as there are both; otherwise the easiest method would
    fill the list. Choosing again from the chosen items gives the same lists.
    """
    items = list(items)
    right = _most_confident([item for item in items if _is_right(item)], count)
    wrong = _most_confident([item for item in items if not _is_right(item)], count)
    shown = {id(item) for item in (*right, *wrong)}
    rest = sorted((item for item in items if id(item) not in shown), key=_confidence)
    return Choice(right, wrong, rest[:count])


def film_strip(frames: UInt8[np.ndarray, "t h w 3"]) -> str:
    """Return up to four frames, evenly spread over the clip, side by side, as the data URI of a JPEG."""
    index = np.unique(np.linspace(0, len(frames) - 1, min(_STRIP_FRAMES, len(frames))).round().astype(int))
    width = max(1, round(_STRIP_HEIGHT * frames.shape[2] / frames.shape[1]))
    strip = Image.new("RGB", (width * len(index), _STRIP_HEIGHT))
    for place, frame in enumerate(frames[index]):
        small = Image.fromarray(frame).resize((width, _STRIP_HEIGHT), Image.Resampling.LANCZOS)
        strip.paste(small, (place * width, 0))
    data = io.BytesIO()
    strip.save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def _is_right(item: Scored) -> bool:
    return (item.score >= THRESHOLD) == (item.label == 1)


def _confidence(item: Scored) -> float:
    return abs(item.score - THRESHOLD)


def _most_confident(items: list[Item], count: int) -> list[Item]:
    ranked = [
        (rank, -_confidence(item), item)
        for label in (0, 1)
        for rank, item in enumerate(
            sorted((item for item in items if item.label == label), key=_confidence, reverse=True)
        )
    ]
    ranked.sort(key=lambda entry: entry[:2])
    return [item for _, _, item in ranked[:count]]
