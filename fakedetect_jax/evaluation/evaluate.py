"""Scores the videos of every source with a detector and writes scores.csv, metrics.json and the report."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import fakedetect_jax
from fakedetect_jax.data.clips import Clip
from fakedetect_jax.data.pipeline import Loading, Shard, evaluation_clips
from fakedetect_jax.data.videos import Video, Videos
from fakedetect_jax.deployment.inference import Detector
from fakedetect_jax.deployment.model_card import describe_training, is_trained
from fakedetect_jax.deployment.verdict import ScoredClip
from fakedetect_jax.evaluation.gallery import GalleryItem, choose
from fakedetect_jax.evaluation.report import REPORT, Context, write_report
from fakedetect_jax.evaluation.scores import Failure, Score, VideoScore, aggregate, write_csv
from fakedetect_jax.evaluation.summary import summarise, write_json
from fakedetect_jax.files import AnyPath

SCORES, METRICS = "scores.csv", "metrics.json"
_GALLERY_FRAMES = 4


def evaluate_detector(
    detector: Detector,
    sources: Mapping[str, Videos],
    folder: AnyPath,
    *,
    failures: Sequence[Failure],
    title: str,
    tested_on: str,
    batch_size: int,
    loading: Loading,
    resamples: int,
    seed: int,
) -> AnyPath | None:
    """Score every video of every source and write the results.

    The scores of a source are on disk, in scores.csv, before the next one is begun.

    Args:
        detector: the exported detector.
        sources: the videos of each source, by the name that the results give it.
        folder: where the results go; made when missing.
        failures: videos of the sources that the build could not use.
        title: heading of the report.
        tested_on: the sources in words, for the report.
        batch_size: clips at once over all devices, which must divide it.
        loading: how batches are prepared.
        resamples: number of bootstrap resamples.
        seed: seed of the bootstrap.

    Returns:
        `folder`/report.html, or None on processes other than the first, which write nothing.
    """
    scores: list[Score] = []
    for name, videos in sources.items():
        scores += score_videos(detector, videos, name=name, batch_size=batch_size, loading=loading)
        if not jax.process_index():
            write_csv(folder / SCORES, scores)
            # Those of an evaluation before this one are of other scores.
            for stale in (METRICS, REPORT):
                (folder / stale).unlink(missing_ok=True)
    if jax.process_index():
        return None
    summary = summarise(scores, failures=failures, seed=seed, resamples=resamples)
    write_json(folder / METRICS, summary)
    return write_report(
        folder,
        summary=summary,
        scores=scores,
        gallery=_gallery(aggregate(scores), sources),
        title=title,
        context=_context(detector, tested_on),
    )


def score_videos(
    detector: Detector,
    videos: Videos,
    *,
    name: str,
    batch_size: int,
    loading: Loading = Loading(),  # noqa: B008 (frozen)
) -> list[Score]:
    """Score the main persons of one source.

    Args:
        detector: the exported detector.
        videos: the videos of the source.
        name: the source's name in the results.
        batch_size: clips at once over all devices.
        loading: how batches are prepared.

    Returns:
        A row for each clip, in stored order; the same on every process and for any number of devices.
    """
    quiet = jax.process_index() > 0
    total = len(evaluation_clips(videos, detector.clip))
    with tqdm(total=total, desc=f"evaluate {name}", unit="clip", disable=quiet) as progress:
        scored = detector.score_clips(
            videos,
            batch_size=batch_size,
            shard=Shard(jax.process_index(), jax.process_count()),
            loading=loading,
            progress=progress.update,
        )
    numbers = _numbers_in_track([(one.number, one.clip) for one in scored])
    return [
        _row(videos.videos[one.number], one, clip=number, dataset=name)
        for one, number in zip(scored, numbers, strict=True)
    ]


def recorded_failures(
    report: Mapping[str, Any], split: str, *, methods: Sequence[str], limit: int, name: str
) -> list[Failure]:
    """Return the videos in which the build found no face or could not read anything.

    Args:
        report: the build's report, as `data.index.read_report` reads it.
        split: the split of the source.
        methods: the methods of the source; none means all.
        limit: the number of usable videos of the source, 0 for all. With a limit, only the failures count that the
            publisher lists before the last video that was reached.
        name: the source's name in the results.
    """
    listed = [
        video
        for video in report["videos"]
        if video["split"] == split and (not methods or video["method"] in methods)
    ]
    if limit:
        found = np.cumsum([not video["failure"] for video in listed])
        listed = listed[: int(np.searchsorted(found, limit)) + 1]
    return [
        Failure(
            dataset=name,
            method=video["method"],
            video_id=video["video_id"],
            label=video["label"],
            reason=video["failure"],
            identity=video["identity"],
        )
        for video in listed
        if video["failure"]
    ]


def _numbers_in_track(clips: list[tuple[int, Clip]]) -> list[int]:
    """Number the clips of each track of each video from 0."""
    numbers: list[int] = []
    for place, (video, clip) in enumerate(clips):
        before = clips[place - 1] if place else None
        goes_on = before is not None and (before[0], before[1].track) == (video, clip.track)
        numbers.append(numbers[-1] + 1 if goes_on else 0)
    return numbers


def _row(video: Video, scored: ScoredClip, **about: Any) -> Score:
    chosen, judged = scored.clip, not scored.reason
    entry = video.tracks[chosen.track]
    return Score(
        method=entry.method,
        video_id=entry.video_id,
        track=entry.track,
        label=entry.label,
        score=scored.score if judged else None,
        frame_index=tuple(video.frame_index[chosen.track][chosen.positions[chosen.valid]].tolist()),
        frame_scores=tuple(scored.frame_scores[chosen.valid].tolist()) if judged else (),
        identity=entry.identity,
        not_judged=scored.reason,
        **about,
    )


def _gallery(videos: list[VideoScore], sources: Mapping[str, Videos]) -> list[GalleryItem]:
    choice = choose(video for video in videos if not video.failed)
    return [
        GalleryItem(
            frames=_frames_of(sources[video.dataset], video),
            label=video.label,
            method=video.method,
            score=video.score,
            video_id=video.video_id,
            dataset=video.dataset,
        )
        for video in (*choice.right, *choice.wrong, *choice.uncertain)
    ]


def _frames_of(videos: Videos, chosen: VideoScore) -> np.ndarray:
    number = next(
        number
        for number, video in enumerate(videos.videos)
        if (video.about.method, video.about.video_id) == (chosen.method, chosen.video_id)
    )
    length = videos.videos[number].about.frames
    places = np.unique(np.linspace(0, length - 1, _GALLERY_FRAMES + 2)[1:-1].astype(int))
    return videos.load([(number, Clip(0, places, np.ones(len(places), bool)))])["frames"][0]


def _context(detector: Detector, tested_on: str) -> Context:
    trained: dict[str, Any] = detector.spec["trained"]
    blended = is_trained(trained) and trained["config"]["input"]["fakes"] == "self_blend"
    step = f"{trained['step']}, chosen by log loss on the validation split"
    return Context(
        trained_on=describe_training(trained) + ("; fakes by self-blending" if blended else ""),
        tested_on=tested_on,
        provenance={
            "experiment": trained["config"]["name"],
            "seed": trained["config"]["seed"],
            "step": step if is_trained(trained) else "none: the weights are as imported",
            "fakedetect_jax": fakedetect_jax.__version__,
            "jax": jax.__version__,
            "device": f"{jax.device_count()} x {jax.devices()[0].device_kind} ({platform.machine()})",
        },
        config=json.dumps(trained["config"], indent=1),
    )
