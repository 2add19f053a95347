"""The TFDS builder that every dataset extends: videos in, records of face tracks out, all accounted for."""

from __future__ import annotations

import abc
import collections
import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tqdm import tqdm

from data_builders.workers import extract_all
from fakedetect_jax.data import schema
from fakedetect_jax.faces import FaceSequence
from fakedetect_jax.faces.extract import CROP_MARGIN, CROP_SIZE

REPORT = "build_report.json"


@dataclasses.dataclass(frozen=True)
class VideoItem:
    """One video of a dataset and what its publisher says of it.

    `source` is whatever the builder's `materialise` turns into a video file, most often its path.
    """

    video_id: str
    split: str
    method: str
    source: Any
    identity: str
    source_identity: str = ""
    compression: str = ""

    @property
    def key(self) -> str:
        """The identity of the record: videos of the same name from two methods stay two videos."""
        return f"{self.method}/{self.video_id}"

    @property
    def label(self) -> int:
        """1 = fake."""
        return int(self.method != schema.REAL)


def video_path(item: VideoItem, folder: Path) -> Path:
    """Returns the file of a video that already lies on disk; `folder` is for builders that must make it."""
    del folder
    return Path(item.source)


class FaceSequenceBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Turns a list of videos into sharded records of face tracks (schema.features).

    A dataset's builder says which videos there are (`videos`) and, if they are not files yet, how one is made
    (`materialise`). A video that fails is never dropped in silence: it is listed with its reason in
    build_report.json beside the records.
    """

    extraction: ClassVar[dict[str, Any]] = {"size": CROP_SIZE, "margin": CROP_MARGIN}
    materialise = staticmethod(video_path)
    workers: int = 1

    @abc.abstractmethod
    def videos(self) -> list[VideoItem]:
        """Returns every video of every split, in a fixed order."""

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(features=schema.features())

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        del dl_manager
        items = self.videos()
        keys = collections.Counter(item.key for item in items)
        repeated = [key for key, count in keys.items() if count > 1]
        if repeated:
            raise ValueError(f"{self.name}: the same video is listed twice: {repeated[:5]}")
        self._outcomes: list[dict[str, Any]] = []
        splits: dict[str, list[VideoItem]] = collections.defaultdict(list)
        for item in items:
            splits[item.split].append(item)
        return {split: self._generate_examples(split, members) for split, members in splits.items()}

    def _generate_examples(self, split: str, items: list[VideoItem]) -> Iterator[tuple[str, dict]]:
        with tempfile.TemporaryDirectory(prefix=f"{self.name}_") as folder, contextlib.ExitStack() as stack:
            results = extract_all(
                items,
                materialise=type(self).materialise,
                folder=Path(folder),
                extraction=self.extraction,
                workers=self.workers,
                stack=stack,
            )
            progress = tqdm(results, total=len(items), desc=f"{self.name} {split}", unit="video")
            for item, outcome in zip(items, progress, strict=True):
                tracks = [] if isinstance(outcome, str) else outcome
                reason = outcome if isinstance(outcome, str) else ("" if tracks else "no face found")
                self._account(item, tracks, reason)
                for sequence in tracks:
                    yield f"{item.key}/{sequence.track}", self._record(item, sequence, tracks[0].track)

    def _record(self, item: VideoItem, sequence: FaceSequence, main_track: int) -> dict[str, Any]:
        return schema.to_record(
            sequence,
            video_id=item.video_id,
            dataset=self.name,
            split=item.split,
            method=item.method,
            label=item.label,
            main=sequence.track == main_track,
            compression=item.compression,
            identity=item.identity,
            source_identity=item.source_identity,
        )

    def _account(self, item: VideoItem, tracks: list[FaceSequence], reason: str) -> None:
        self._outcomes.append(
            {
                "video_id": item.video_id,
                "split": item.split,
                "method": item.method,
                "label": item.label,
                "identity": item.identity,
                "source_identity": item.source_identity,
                "tracks": len(tracks),
                "frames": sum(len(track.frames) for track in tracks),
                "failure": reason,
            }
        )

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        super()._download_and_prepare(dl_manager=dl_manager, download_config=download_config)
        # Still inside TFDS's temporary folder: the records and their account appear together or not at all.
        report = {"summary": summarise(self._outcomes), "videos": self._outcomes}
        (Path(self.data_dir) / REPORT).write_text(json.dumps(report, indent=1))


def summarise(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Counts videos, tracks, frames and failures per split and method, in order of appearance."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for outcome in outcomes:
        empty = {"videos": 0, "failed": 0, "tracks": 0, "frames": 0}
        key = (outcome["split"], outcome["method"])
        row = rows.setdefault(key, {"split": key[0], "method": key[1]} | empty)
        row["videos"] += 1
        row["failed"] += bool(outcome["failure"])
        row["tracks"] += outcome["tracks"]
        row["frames"] += outcome["frames"]
    return list(rows.values())
