"""An exported detector on the evaluation sources of a config: scores.csv, metrics.json and the report."""

from __future__ import annotations

import dataclasses
import json
import platform
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

import fakedetect_jax
from fakedetect_jax import experiment, parallel
from fakedetect_jax.config import Config
from fakedetect_jax.data.clips import Clip
from fakedetect_jax.data.index import dataset_folder, read_report
from fakedetect_jax.data.pipeline import evaluation_batches, evaluation_clips
from fakedetect_jax.data.videos import Video, Videos, person_of, select, source_person_of
from fakedetect_jax.deployment.inference import Detector, load_detector
from fakedetect_jax.deployment.model_card import describe_sources
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.gallery import GalleryItem, choose
from fakedetect_jax.evaluation.report import Context, write_report
from fakedetect_jax.evaluation.scores import Failure, Score, VideoScore, aggregate, write_csv
from fakedetect_jax.evaluation.summary import summarise, write_json

FOLDER = "evaluation"
_GALLERY_FRAMES = 4


def evaluate(config: Config, workdir: str | Path, *, detector_folder: str | Path) -> Path | None:
    """Scores every video of config.evaluation.sources with an exported detector and writes the results.

    The scores of a source are on disk, in scores.csv, before the next one is begun.

    Returns:
      `workdir`/evaluation/report.html; None on processes other than the first, which write nothing.

    Raises:
      FakedetectError: no sources, a batch size that does not divide by the devices, data that was built in another
        way than the detector's, or that shows people whom the detector learned from.
    """
    if not config.evaluation.sources:
        raise FakedetectError(
            "config.evaluation.sources is empty; name at least one source (configs/base.py)"
        )
    detector = load_detector(detector_folder)
    parallel.check_batch_size(config.evaluation.batch_size, detector.mesh, "config.evaluation.batch_size")
    folder = Path(workdir) / FOLDER
    opened = {key: open_source(config, key, detector) for key in sorted(config.evaluation.sources)}
    scores: list[Score] = []
    failures: list[Failure] = []
    for key, videos in opened.items():
        scores += score_videos(detector, videos, config, name=key)
        failures += recorded_failures(config.data.folder, config.evaluation.sources[key], name=key)
        if not jax.process_index():
            write_csv(folder / "scores.csv", scores)
    if jax.process_index():
        return None
    summary = summarise(scores, failures=failures, seed=config.seed, resamples=config.evaluation.resamples)
    write_json(folder / "metrics.json", summary)
    return write_report(
        folder,
        summary=summary,
        scores=scores,
        gallery=_gallery(aggregate(scores), opened),
        title=f"Evaluation of {config.name}",
        context=_context(detector, config),
    )


def open_source(config: Config, key: str, detector: Detector) -> Videos:
    """Opens one of config.evaluation.sources for a detector.

    Raises:
      FakedetectError: its crops were made in another way than those that the detector learned from; or it shows
        people whom the detector learned from, and its `shared_people` is 'refuse'.
    """
    source = config.evaluation.sources[key]
    videos = select(config.data.folder, source.dataset, source.split, tuple(source.methods), source.limit)
    wanted = detector.clip.extraction
    if not videos.extraction.same_crops(wanted):
        raise FakedetectError(
            f"config.evaluation.sources.{key}: {source.dataset} was built with '{videos.extraction.flags}', the data "
            f"that the detector learned from with '{wanted.flags}'; build {source.dataset} again with the latter"
        )
    known = set(detector.spec["trained"]["people"])
    shared, left = [], []
    for video in videos.videos:
        people = {person_of(video.about), source_person_of(video.about)}
        (shared if people & known else left).append(video)
    if not shared or source.shared_people == "keep":
        return videos
    if source.shared_people == "refuse":
        example = shared[0].about
        raise FakedetectError(
            f"config.evaluation.sources.{key}: {len(shared)} of {len(videos)} videos of {source.dataset}, split "
            f"{source.split!r}, show people whom the detector learned from, such as {example.method}/"
            f"{example.video_id} ({person_of(example)}); set its shared_people to 'drop' to leave these out, or to "
            "'keep' to measure on people already seen"
        )
    if not left:
        raise FakedetectError(
            f"config.evaluation.sources.{key}: every video of {source.dataset}, split {source.split!r}, shows people "
            "whom the detector learned from"
        )
    return dataclasses.replace(videos, videos=left)


def score_videos(detector: Detector, videos: Videos, config: Config, *, name: str) -> list[Score]:
    """Scores the main persons of one source.

    Args:
      name: what the source is called in the results.

    Returns:
      A row for each clip, in stored order; the same on every process and for any number of devices.
    """
    clips = evaluation_clips(videos, detector.clip)
    batches = evaluation_batches(
        videos,
        detector.clip,
        batch_size=config.evaluation.batch_size,
        shard=experiment.this_process(),
        loading=experiment.make_loading(config),
    )
    rows: list[Score | None] = [None] * len(clips)
    numbers = _numbers_in_track(clips)
    quiet = jax.process_index() > 0
    with tqdm(total=len(clips), desc=f"evaluate {name}", unit="clip", disable=quiet) as progress:
        for scores in detector.score_batches(batches):
            for place, score, frame_scores in zip(*scores, strict=True):
                if place >= 0:
                    number, chosen = clips[place]
                    about = {"clip": numbers[place], "score": float(score), "dataset": name}
                    rows[place] = _row(videos.videos[number], chosen, frame_scores, **about)
                    progress.update()
    lost = rows.count(None)
    if lost:
        raise RuntimeError(f"{name}: {lost} of {len(clips)} clips came back without a score")
    return [row for row in rows if row is not None]


def recorded_failures(data_dir: str, source: Config, *, name: str) -> list[Failure]:
    """Returns the videos of the source `name` for which the build found no face or nothing readable.

    Of a source with a limit, those that its publisher lists before the last video that was reached.
    """
    report = read_report(dataset_folder(data_dir, source.dataset))
    listed = [
        video
        for video in report["videos"]
        if video["split"] == source.split and (not source.methods or video["method"] in source.methods)
    ]
    if source.limit:
        found = np.cumsum([not video["failure"] for video in listed])
        listed = listed[: int(np.searchsorted(found, source.limit)) + 1]
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
    """Numbers the clips of each track of each video from 0."""
    numbers: list[int] = []
    for place, (video, clip) in enumerate(clips):
        before = clips[place - 1] if place else None
        goes_on = before is not None and (before[0], before[1].track) == (video, clip.track)
        numbers.append(numbers[-1] + 1 if goes_on else 0)
    return numbers


def _row(video: Video, chosen: Clip, frame_scores: np.ndarray, **about: Any) -> Score:
    entry = video.tracks[chosen.track]
    return Score(
        method=entry.method,
        video_id=entry.video_id,
        track=entry.track,
        label=entry.label,
        frame_index=tuple(video.frame_index[chosen.track][chosen.positions[chosen.valid]].tolist()),
        frame_scores=tuple(frame_scores[chosen.valid].tolist()),
        identity=entry.identity,
        **about,
    )


def _gallery(videos: list[VideoScore], opened: dict[str, Videos]) -> list[GalleryItem]:
    choice = choose(videos)
    return [
        GalleryItem(
            frames=_frames_of(opened[video.dataset], video),
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


def _context(detector: Detector, config: Config) -> Context:
    trained: dict[str, Any] = detector.spec["trained"]
    return Context(
        trained_on=describe_sources(trained["config"]["data"]["train"])
        + ("; fakes by self-blending" if trained["config"]["input"]["fakes"] == "self_blend" else ""),
        tested_on=describe_sources(config.evaluation.sources.to_dict()),
        provenance={
            "experiment": trained["config"]["name"],
            "seed": trained["config"]["seed"],
            "step": f"{trained['step']}, chosen by log loss on the validation split",
            "fakedetect_jax": fakedetect_jax.__version__,
            "jax": jax.__version__,
            "device": f"{jax.device_count()} x {jax.devices()[0].device_kind} ({platform.machine()})",
        },
        config=json.dumps(trained["config"], indent=1),
    )
