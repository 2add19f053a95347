"""Scores of clips, their aggregation to scores of videos, and scores.csv.

A video is identified by (dataset, method, video_id): in FaceForensics++ every method has a `000_003`, and they are
different videos.
"""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

import numpy as np

from fakedetect_jax import files
from fakedetect_jax.data.schema import REAL
from fakedetect_jax.deployment.verdict import most_common
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import AnyPath, PathLike

VideoKey = tuple[str, str, str]

# The score of a video that could not be scored.
UNDECIDED = 0.5


@dataclass(frozen=True)
class _OfVideo:
    """The identification of a video; `method` is 'real' or the manipulation's name."""

    dataset: str
    method: str
    video_id: str

    @property
    def key(self) -> VideoKey:
        """The key that is unique to this video."""
        return self.dataset, self.method, self.video_id


@dataclass(frozen=True)
class Score(_OfVideo):
    """The detector's score of one clip of a video's main person.

    Attributes:
        track: number of the face track in the video; a person has one in each shot.
        label: 1 = fake, 0 = real.
        score: P(fake) of the clip, float64 in [0, 1]; None if the detector cannot judge it.
        frame_index: numbers of the clip's frames in the source video.
        frame_scores: P(fake) of each of these frames, in [0, 1]; empty if the detector cannot judge them.
        identity: the person, or whatever else makes videos dependent; '' if unknown.
        not_judged: why the detector cannot judge the clip; '' if there is a score.
        clip: number of the clip in the track; (track, clip) is unique in a video.

    Raises:
        FakedetectError: a score is not a finite number in [0, 1], or values contradict each other.
    """

    track: int
    label: int
    score: float | None
    frame_index: tuple[int, ...] = ()
    frame_scores: tuple[float, ...] = ()
    identity: str = ""
    not_judged: str = ""
    clip: int = 0

    def __post_init__(self) -> None:
        _check_video(self.key, self.label)
        if (self.score is None) != bool(self.not_judged):
            raise FakedetectError(
                f"{self.name}: score {self.score} with not_judged={self.not_judged!r}; give a score, or a reason"
            )
        if self.score is None:
            if self.frame_scores:
                raise FakedetectError(f"{self.name}: scores of frames of a clip that is not judged")
            return
        if len(self.frame_index) != len(self.frame_scores):
            raise FakedetectError(
                f"{self.name}: {len(self.frame_index)} frame_index for {len(self.frame_scores)} frame_scores"
            )
        for value in (self.score, *self.frame_scores):
            if not (math.isfinite(value) and 0 <= value <= 1):
                raise FakedetectError(
                    f"{self.name}: score {value} is not a probability; pass P(fake) in [0, 1]"
                )

    @property
    def name(self) -> str:
        """The clip's name in messages."""
        return f"{'/'.join(self.key)} track {self.track} clip {self.clip}"


@dataclass(frozen=True)
class Failure(_OfVideo):
    """A video that could not be scored, with the reason (no face found, unreadable file)."""

    label: int
    reason: str
    identity: str = ""

    def __post_init__(self) -> None:
        _check_video(self.key, self.label)


@dataclass(frozen=True)
class VideoScore(_OfVideo):
    """One video: the mean P(fake) of its clips, and the scores of its frames.

    A video without a score, which `failed` or could not be judged, has the score 0.5 and no frames.

    Attributes:
        failed: whether the video has no score.
        not_judged: why the detector cannot judge it; '' if it has a score or could not even be read.
    """

    label: int
    score: float
    identity: str = ""
    frame_scores: tuple[float, ...] = field(default=(), repr=False)
    failed: bool = False
    not_judged: str = ""

    @property
    def cluster(self) -> str:
        """The unit of independence: the identity, or the video itself if that is unknown."""
        return f"identity {self.identity}" if self.identity else f"video {self.method}/{self.video_id}"


def aggregate(scores: Iterable[Score], *, failures: Iterable[Failure] = ()) -> list[VideoScore]:
    """Aggregate clip scores to video scores, sorted by (dataset, method, video_id).

    All rows of a video are of its main person, who may have several tracks, one in each shot. The video's score is the
    mean over all clips of all its tracks that the detector can judge. A video without such a clip is not judged. A
    frame that several clips used has the mean of its scores.

    Raises:
        FakedetectError: a clip is given twice, a video has two identities, or is both scored and failed.
    """
    by_video: dict[VideoKey, list[Score]] = {}
    for score in scores:
        by_video.setdefault(score.key, []).append(score)
    videos = [_video(clips) for clips in by_video.values()]
    seen = set(by_video)
    for failure in failures:
        if failure.key in seen:
            raise FakedetectError(
                f"{'/'.join(failure.key)} is listed as failed but was scored or listed before; list it once"
            )
        seen.add(failure.key)
        videos.append(VideoScore(*failure.key, failure.label, UNDECIDED, failure.identity, failed=True))
    return sorted(videos, key=lambda video: video.key)


def write_csv(path: PathLike, scores: Iterable[Score]) -> AnyPath:
    """Write one row per (video, track, clip), atomically; frame columns are lists separated by spaces.

    A clip that the detector cannot judge has no score, and the reason in the column `not_judged`.

    In pandas: `df = pd.read_csv(path, dtype={"video_id": str, "identity": str})` and
    `df.frame_scores.str.split()`. Floats survive exactly.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [column.name for column in fields(Score)]
    writer.writerow(names)
    for score in scores:
        writer.writerow(_cell(getattr(score, name)) for name in names)
    return files.write_text(path, text.getvalue())


def read_csv(path: PathLike) -> list[Score]:
    """Read what `write_csv` wrote.

    Raises:
        FakedetectError: the file is no table in UTF-8, a column is missing, or a value is malformed; names file and
            line.
    """
    with io.TextIOWrapper(io.BytesIO(files.to_path(path).read_bytes()), encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        try:
            missing = {column.name for column in fields(Score)} - set(reader.fieldnames or ())
            if missing:
                raise FakedetectError(f"no column {', '.join(sorted(missing))}; is it a scores.csv?")
            return [_parse(row) for row in reader]
        except (csv.Error, ValueError) as error:
            raise FakedetectError(f"{path}, line {reader.line_num}: {error}") from error


def _check_video(key: VideoKey, label: int) -> None:
    name = "/".join(key)
    if not all(key):
        raise FakedetectError(f"{name!r}: dataset, method and video_id must not be empty")
    if label not in (0, 1):
        raise FakedetectError(f"{name}: label is {label!r}; it must be 0 (real) or 1 (fake)")
    if (label == 0) != (key[1] == REAL):
        raise FakedetectError(
            f"{name}: label {label} contradicts method {key[1]!r}; 'real' is label 0, all others 1"
        )


def _video(clips: list[Score]) -> VideoScore:
    first = clips[0]
    name = "/".join(first.key)
    if len({(clip.track, clip.clip) for clip in clips}) < len(clips):
        raise FakedetectError(f"{name}: a (track, clip) was given twice; number the clips of a track from 0")
    identities = {clip.identity for clip in clips}
    if len(identities) > 1:
        raise FakedetectError(f"{name}: several identities for one video: {sorted(identities)}")
    judged = [clip for clip in clips if clip.score is not None]
    if not judged:
        reason = most_common([clip.not_judged for clip in clips])
        return VideoScore(*first.key, first.label, UNDECIDED, first.identity, failed=True, not_judged=reason)
    by_frame: dict[int, list[float]] = {}
    for clip in judged:
        for index, score in zip(clip.frame_index, clip.frame_scores, strict=True):
            by_frame.setdefault(index, []).append(score)
    return VideoScore(
        *first.key,
        label=first.label,
        score=float(np.mean([clip.score for clip in judged])),
        identity=first.identity,
        frame_scores=tuple(float(np.mean(by_frame[index])) for index in sorted(by_frame)),
    )


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(_cell(item) for item in value)
    if value is None:
        return ""
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def _parse(row: dict[str, str]) -> Score:
    if None in row or None in row.values():
        raise FakedetectError("the row has not as many values as there are columns; make the file anew")
    return Score(
        dataset=row["dataset"],
        method=row["method"],
        video_id=row["video_id"],
        track=int(row["track"]),
        label=int(row["label"]),
        score=None if row["not_judged"] else float(row["score"]),
        frame_index=tuple(int(item) for item in row["frame_index"].split()),
        frame_scores=tuple(float(item) for item in row["frame_scores"].split()),
        identity=row["identity"],
        clip=int(row["clip"]),
        not_judged=row["not_judged"],
    )
