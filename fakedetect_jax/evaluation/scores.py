"""Scores of clips, how they become scores of videos, and scores.csv.

A video is known by (dataset, method, video_id): in FaceForensics++ every method has a `000_003`, and they are
different videos.
"""

import csv
import io
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import numpy as np

from fakedetect_jax.evaluation import atomic

FailurePolicy = Literal["half", "omit"]
VideoKey = tuple[str, str, str]

REAL = "real"


@dataclass(frozen=True)
class Score:
    """What the detector said about one clip of one face track.

    Attributes:
        dataset, method, video_id: the video; method is 'real' or the manipulation's name.
        track: face track in the video, as numbered by face extraction; the lowest is the main one.
        label: 1 = fake, 0 = real.
        score: P(fake) of the clip, in [0, 1].
        frame_index: frame numbers in the source video that the clip used.
        frame_scores: P(fake) of each of these frames, in [0, 1].
        identity: the person, or whatever makes videos dependent; '' when unknown.
        clip: number of the clip within the track.
    """

    dataset: str
    method: str
    video_id: str
    track: int
    label: int
    score: float
    frame_index: tuple[int, ...] = ()
    frame_scores: tuple[float, ...] = ()
    identity: str = ""
    clip: int = 0

    def __post_init__(self) -> None:
        _check_video(self.key, self.label)
        if len(self.frame_index) != len(self.frame_scores):
            raise ValueError(
                f"{self.name}: {len(self.frame_index)} frame_index for {len(self.frame_scores)} frame_scores"
            )
        for value in (self.score, *self.frame_scores):
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise ValueError(f"{self.name}: score {value} is not a probability; pass P(fake) in [0, 1]")

    @property
    def key(self) -> VideoKey:
        """What tells this video from all others."""
        return self.dataset, self.method, self.video_id

    @property
    def name(self) -> str:
        """The clip in words, for messages."""
        return f"{'/'.join(self.key)} track {self.track} clip {self.clip}"


@dataclass(frozen=True)
class Failure:
    """A video that could not be scored, and why (no face found, unreadable file)."""

    dataset: str
    method: str
    video_id: str
    label: int
    reason: str
    identity: str = ""

    def __post_init__(self) -> None:
        _check_video(self.key, self.label)

    @property
    def key(self) -> VideoKey:
        """What tells this video from all others."""
        return self.dataset, self.method, self.video_id


@dataclass(frozen=True)
class VideoScore:
    """One video: the mean P(fake) of the clips of its main track, and the scores of that track's frames."""

    dataset: str
    method: str
    video_id: str
    label: int
    score: float
    identity: str = ""
    frame_scores: tuple[float, ...] = field(default=(), repr=False)
    failed: bool = False

    @property
    def key(self) -> VideoKey:
        """What tells this video from all others."""
        return self.dataset, self.method, self.video_id

    @property
    def cluster(self) -> str:
        """The unit of independence: the identity, or the video itself when that is unknown."""
        return f"identity {self.identity}" if self.identity else f"video {self.method}/{self.video_id}"


def aggregate(
    scores: Iterable[Score], *, failures: Iterable[Failure] = (), failure_policy: FailurePolicy = "half"
) -> list[VideoScore]:
    """Clip scores to video scores, sorted by (dataset, method, video_id).

    The video's score is the mean over the clips of the main track, which is the one with the lowest number.
    A frame that several clips used has the mean of its scores. Failed videos get the score 0.5 and no frames
    ('half'), so that a detector gains nothing by giving up, or are left out ('omit').

    Raises:
        ValueError: a clip given twice, a video with two labels or identities, a video both scored and failed.
    """
    if failure_policy not in ("half", "omit"):
        raise ValueError(f"failure_policy is {failure_policy!r}; it must be 'half' or 'omit'")
    by_video: dict[VideoKey, list[Score]] = {}
    for score in scores:
        by_video.setdefault(score.key, []).append(score)
    videos = [_video(clips) for clips in by_video.values()]
    seen = set(by_video)
    for failure in failures:
        if failure.key in seen:
            raise ValueError(f"{'/'.join(failure.key)} is listed as failed but was scored or listed before")
        seen.add(failure.key)
        if failure_policy == "half":
            videos.append(VideoScore(*failure.key, failure.label, 0.5, failure.identity, failed=True))
    return sorted(videos, key=lambda video: video.key)


def write_csv(path: str | os.PathLike[str], scores: Iterable[Score]) -> Path:
    """Writes one row per (video, track, clip), atomically; frame columns are lists separated by spaces.

    In pandas: `df = pd.read_csv(path, dtype={"video_id": str, "identity": str})` and
    `df.frame_scores.str.split()`. Floats survive exactly.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [column.name for column in fields(Score)]
    writer.writerow(names)
    for score in scores:
        writer.writerow(_cell(getattr(score, name)) for name in names)
    return atomic.write_text(path, text.getvalue())


def read_csv(path: str | os.PathLike[str]) -> list[Score]:
    """Reads what `write_csv` wrote.

    Raises:
        ValueError: a column is missing or a value is ill-formed; names the file and line.
    """
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = {column.name for column in fields(Score)} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{path}: no column {', '.join(sorted(missing))}; is it a scores.csv?")
        scores = []
        for row in reader:
            try:
                scores.append(_parse(row))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
    return scores


def _check_video(key: VideoKey, label: int) -> None:
    name = "/".join(key)
    if not all(key):
        raise ValueError(f"{name!r}: dataset, method and video_id must not be empty")
    if label not in (0, 1):
        raise ValueError(f"{name}: label is {label!r}; it must be 0 (real) or 1 (fake)")
    if (label == 0) != (key[1] == REAL):
        raise ValueError(
            f"{name}: label {label} contradicts method {key[1]!r}; 'real' is label 0, all others 1"
        )


def _video(clips: list[Score]) -> VideoScore:
    first = clips[0]
    name = "/".join(first.key)
    if len({(clip.track, clip.clip) for clip in clips}) < len(clips):
        raise ValueError(f"{name}: a (track, clip) was given twice; number the clips of a track from 0")
    identities = {clip.identity for clip in clips}
    if len(identities) > 1:
        raise ValueError(f"{name}: several identities for one video: {sorted(identities)}")
    main = min(clip.track for clip in clips)
    clips = [clip for clip in clips if clip.track == main]
    by_frame: dict[int, list[float]] = {}
    for clip in clips:
        for index, score in zip(clip.frame_index, clip.frame_scores, strict=True):
            by_frame.setdefault(index, []).append(score)
    return VideoScore(
        *first.key,
        label=first.label,
        score=float(np.mean([clip.score for clip in clips])),
        identity=first.identity,
        frame_scores=tuple(float(np.mean(by_frame[index])) for index in sorted(by_frame)),
    )


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(_cell(item) for item in value)
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def _parse(row: dict[str, str]) -> Score:
    return Score(
        dataset=row["dataset"],
        method=row["method"],
        video_id=row["video_id"],
        track=int(row["track"]),
        label=int(row["label"]),
        score=float(row["score"]),
        frame_index=tuple(int(item) for item in row["frame_index"].split()),
        frame_scores=tuple(float(item) for item in row["frame_scores"].split()),
        identity=row["identity"],
        clip=int(row["clip"]),
    )
