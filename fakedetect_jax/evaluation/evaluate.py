"""An exported detector on the evaluation sources of a config: scores.csv, metrics.json and the report."""

from __future__ import annotations

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
from fakedetect_jax.data.index import Entry, dataset_folder
from fakedetect_jax.data.pipeline import evaluation_batches
from fakedetect_jax.data.sampling import spread_frames
from fakedetect_jax.data.tracks import Tracks, select
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.gallery import GalleryItem, choose
from fakedetect_jax.evaluation.report import Context, write_report
from fakedetect_jax.evaluation.scores import Failure, Score, VideoScore, aggregate, write_csv
from fakedetect_jax.evaluation.summary import summarise, write_json
from fakedetect_jax.inference import Detector, load_detector
from fakedetect_jax.model_card import describe_sources

FOLDER = "evaluation"
_BUILD_REPORT = "build_report.json"
_GALLERY_FRAMES = 4


def evaluate(config: Config, workdir: str | Path, *, detector_folder: str | Path) -> Path | None:
    """Scores every track of config.evaluation.sources with an exported detector and writes the results.

    Returns:
      `workdir`/evaluation/report.html; None on processes other than the first, which write nothing.

    Raises:
      FakedetectError: no sources, a batch size that does not divide by the devices, or data that does not fit.
    """
    if not config.evaluation.sources:
        raise FakedetectError(
            "config.evaluation.sources is empty; name at least one source (configs/base.py)"
        )
    detector = load_detector(detector_folder)
    parallel.check_batch_size(config.evaluation.batch_size, detector.mesh, "config.evaluation.batch_size")
    scores: list[Score] = []
    failures: list[Failure] = []
    opened: dict[str, Tracks] = {}
    for key, source in sorted(config.evaluation.sources.items()):
        opened[key] = select(
            config.data.folder, source.dataset, source.split, tuple(source.methods), source.limit
        )
        scores += score_tracks(detector, opened[key], config, name=key)
        failures += recorded_failures(config.data.folder, source, name=key)
    if jax.process_index():
        return None
    folder = Path(workdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    summary = summarise(scores, failures=failures, seed=config.seed, resamples=config.evaluation.resamples)
    write_csv(folder / "scores.csv", scores)
    write_json(folder / "metrics.json", summary)
    return write_report(
        folder,
        summary=summary,
        scores=scores,
        gallery=_gallery(aggregate(scores), opened),
        title=f"Evaluation of {config.name}",
        context=_context(detector, config),
    )


def score_tracks(detector: Detector, tracks: Tracks, config: Config, *, name: str) -> list[Score]:
    """Scores the main tracks of one source, `config.evaluation.clips` clips of each.

    Args:
      name: what the source is called in the results.

    Returns:
      A row for each clip, in stored order; the same on every process and for any number of devices.
    """
    clips, frames = config.evaluation.clips, detector.preprocessing.frames
    batches = evaluation_batches(
        tracks,
        batch_size=config.evaluation.batch_size,
        frames=frames,
        clips=clips,
        spacing=detector.preprocessing.spacing,
        shard=experiment.this_process(),
        loading=experiment.make_loading(config),
    )
    total = len(tracks) * clips
    progress = tqdm(total=total, desc=f"evaluate {name}", unit="clip")
    rows: list[Score] = []
    for batch in batches:
        outputs = zip(*detector.score_batch(batch), strict=True)
        for place, (clip_score, frame_scores) in zip(range(len(rows), total), outputs, strict=False):
            track, clip = divmod(place, clips)
            chosen = spread_frames(
                tracks.entries[track].frames,
                frames=frames,
                clip=clip,
                clips=clips,
                spacing=detector.preprocessing.spacing,
            )
            rows.append(_row(tracks, track, clip, chosen, clip_score, frame_scores, name))
        progress.update(len(rows) - progress.n)
    progress.close()
    return rows


def recorded_failures(data_dir: str, source: Config, *, name: str) -> list[Failure]:
    """Returns the videos of the source `name` for which the build found no face or nothing readable.

    None for a source with a limit: which of them it would have reached is not known.
    """
    if source.limit:
        return []
    report = json.loads((dataset_folder(data_dir, source.dataset) / _BUILD_REPORT).read_text())
    return [
        Failure(
            dataset=name,
            method=video["method"],
            video_id=video["video_id"],
            label=video["label"],
            reason=video["failure"],
            identity=video["identity"],
        )
        for video in report["videos"]
        if video["failure"]
        and video["split"] == source.split
        and (not source.methods or video["method"] in source.methods)
    ]


def _row(
    tracks: Tracks,
    track: int,
    clip: int,
    chosen: tuple[np.ndarray, np.ndarray],
    clip_score: np.ndarray,
    frame_scores: np.ndarray,
    name: str,
) -> Score:
    entry = tracks.entries[track]
    positions, valid = chosen
    return Score(
        dataset=name,
        method=entry.method,
        video_id=entry.video_id,
        track=entry.track,
        label=entry.label,
        score=float(clip_score),
        frame_index=tuple(tracks.records[entry.position]["frame_index"][positions[valid]].tolist()),
        frame_scores=tuple(frame_scores[valid].tolist()),
        identity=entry.identity,
        clip=clip,
    )


def _gallery(videos: list[VideoScore], opened: dict[str, Tracks]) -> list[GalleryItem]:
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


def _frames_of(tracks: Tracks, video: VideoScore) -> np.ndarray:
    def is_it(entry: Entry) -> bool:
        return (entry.method, entry.video_id) == (video.method, video.video_id)

    row = next(row for row, entry in enumerate(tracks.entries) if is_it(entry))
    positions, valid = spread_frames(tracks.entries[row].frames, frames=_GALLERY_FRAMES)
    return tracks.clip(row, positions[valid], valid[valid])["frames"]


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
