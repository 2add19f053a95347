"""What a detector says of a video, person by person, and how much of the video it has seen."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple, overload

import numpy as np
from jaxtyping import Float64

from fakedetect_jax.data.clips import Clip
from fakedetect_jax.evaluation import metrics
from fakedetect_jax.faces import FaceSequence, FrameChoice

NOT_JUDGED = "cannot be judged"


class ScoredClip(NamedTuple):
    """A clip and its P(fake).

    Attributes:
        number: Number of its video, or of the person in one video.
        clip: Its frames.
        score: P(fake).
        frame_scores: P(fake) of each of its frames.
        reason: Why the detector cannot judge it, so that the scores mean nothing; '' if it can.
    """

    number: int
    clip: Clip
    score: float
    frame_scores: Float64[np.ndarray, " t"]
    reason: str


@dataclasses.dataclass(frozen=True)
class PersonVerdict:
    """The detector's verdict on one person of a video.

    Attributes:
        person: Number of the person in the video.
        score: Mean P(fake) of the clips that can be judged; None if there is none.
        clip_scores: P(fake) of each of these clips.
        frame_index: Numbers of their frames in the video, in order of time.
        timestamp: Times of these frames in seconds.
        frame_scores: P(fake) of these frames, averaged where clips overlap.
        box: Face box in these frames: x0, y0, x1, y1 in the video's pixels.
        tracks: All of the person's tracks, one a shot.
        reason: Why the person cannot be judged by this detector; '' if there is a score.
    """

    person: int
    score: float | None
    clip_scores: list[float]
    frame_index: list[int]
    timestamp: list[float]
    frame_scores: list[float]
    box: list[list[float]]
    tracks: tuple[FaceSequence, ...]
    reason: str = ""

    @property
    def fake(self) -> bool | None:
        """The verdict at `metrics.THRESHOLD`; None without a score."""
        return None if self.score is None else self.score >= metrics.THRESHOLD

    @property
    def word(self) -> str:
        """The verdict in a word or two: 'fake', 'real' or 'cannot be judged'."""
        return {None: NOT_JUDGED, True: "fake", False: "real"}[self.fake]


@dataclasses.dataclass(frozen=True)
class VideoVerdict(Sequence[PersonVerdict]):
    """The verdicts on the people of a video, the most important one first.

    Attributes:
        people: The verdicts; empty if no face was found.
        frames: Which of the video's frames were kept to be judged.
        max_seconds: The length of the part that was looked at, or None for the whole video.
        decoded: Number of frames that were decoded.
        damage: What of the video could not be read, with the number of frames that could, or ''. The verdicts are then
            of a part of the video.
    """

    people: Sequence[PersonVerdict]
    frames: FrameChoice = FrameChoice()  # noqa: RUF009 (frozen)
    max_seconds: float | None = None
    decoded: int = 0
    damage: str = ""

    def __len__(self) -> int:
        return len(self.people)

    @overload
    def __getitem__(self, index: int) -> PersonVerdict: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PersonVerdict]: ...
    def __getitem__(self, index: int | slice) -> PersonVerdict | Sequence[PersonVerdict]:
        return self.people[index]

    @property
    def looked_at(self) -> str:
        """Which frames were kept to be judged, in words."""
        kept = self.frames
        spacing = f"1 in {kept.every} frames" if kept.every > 1 else "every frame"
        if not kept.whole:
            spacing = f"{kept.count} frames" if kept.run == 1 else f"{kept.count} runs of {kept.run} frames"
            spacing += f" {kept.every} apart" if kept.run > 1 and kept.every > 1 else ""
        return spacing if self.max_seconds is None else f"{spacing} of the first {self.max_seconds:g} s"

    @property
    def omissions(self) -> list[str]:
        """What of the video the verdicts do not cover, in words: what could not be decoded, and what was left out."""
        damage = [f"only a part was judged: {self.damage}"] if self.damage else []
        everything = self.frames == FrameChoice() and self.max_seconds is None
        return damage if everything else [*damage, f"looked at: {self.looked_at}"]

    @property
    def judged(self) -> bool:
        """Whether there is a score of at least one person."""
        return any(person.score is not None for person in self.people)


def person_verdict(tracks: tuple[FaceSequence, ...], scored: Sequence[ScoredClip]) -> PersonVerdict:
    """Return the verdict on the person of `tracks`, from all of the person's clips."""
    judged = [one for one in scored if not one.reason]
    frames: dict[int, tuple[float, list[float], list[float]]] = {}
    for _, clip, _, scores, _ in judged:
        track = tracks[clip.track]
        for place, score in zip(
            clip.positions[clip.valid].tolist(), scores[clip.valid].tolist(), strict=True
        ):
            about = (float(track.timestamp[place]), track.box[place].tolist(), [])
            frames.setdefault(int(track.frame_index[place]), about)[2].append(score)
    order = sorted(frames)
    clip_scores = [one.score for one in judged]
    return PersonVerdict(
        person=tracks[0].person,
        score=float(np.mean(clip_scores)) if judged else None,
        clip_scores=clip_scores,
        frame_index=order,
        timestamp=[frames[index][0] for index in order],
        frame_scores=[float(np.mean(frames[index][2])) for index in order],
        box=[frames[index][1] for index in order],
        tracks=tracks,
        reason="" if judged else most_common([one.reason for one in scored]),
    )


def most_common(reasons: Sequence[str]) -> str:
    """Return the reason that most clips have, the first of several."""
    return collections.Counter(reasons).most_common(1)[0][0]
