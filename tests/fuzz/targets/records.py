"""The files of a built dataset: shards, indices, and what it says about itself."""

from __future__ import annotations

import hashlib
import random
import shutil
from pathlib import Path

import numpy as np

from fakedetect_jax.data.clips import Clip
from fakedetect_jax.data.index import DatasetNotBuilt, dataset_folder, read_report
from fakedetect_jax.data.records import DamagedDataset
from fakedetect_jax.data.videos import Videos, select
from fakedetect_jax.errors import FakedetectError
from tests.fuzz.folder_mutations import damage_folder
from tests.fuzz.target import Case, Target, Wrong
from tests.tiny_dataset import build_tiny

_SPLITS = ("train", "test")


class Records(Target):
    """What is read is what was built, or the message names the folder and the remedy."""

    errors = (DamagedDataset, DatasetNotBuilt, FakedetectError)
    memory = 256 << 20

    def prepare(self) -> None:
        build_tiny(self.corpus / "data")

    def load(self) -> None:
        self._sound = {split: _read(self.corpus / "data", split) for split in _SPLITS}

    def case(self, rng: random.Random, folder: Path) -> Case:
        data = folder / "data"
        shutil.copytree(self.corpus / "data", data)
        damage_folder(rng, data / "tiny_faces")
        split = rng.choice(_SPLITS)

        def use() -> None:
            # The second time, what the first has made anew is read.
            for _ in range(2):
                if _read(data, split) != self._sound[split]:
                    raise Wrong("other videos, labels, times or pictures than those that were built")
            read_report(dataset_folder(data, "tiny_faces"))

        return Case(use, ("tiny_faces",))


def _read(data: Path, split: str) -> list[tuple]:
    """Return what training sees of a split: each video's label, method, people, and the digests of its frames."""
    videos = select(data, "tiny_faces", split)
    return [
        (
            video.about.video_id,
            video.about.label,
            video.about.method,
            video.about.identity,
            _digest(videos, number),
        )
        for number, video in enumerate(videos.videos)
    ]


def _digest(videos: Videos, number: int) -> str:
    count = len(videos.videos[number].times[0])
    positions = np.array([0, count // 2, count - 1])
    batch = videos.load([(number, Clip(0, positions, np.ones(3, bool)))])
    digest = hashlib.sha256()
    for name in sorted(batch):
        digest.update(np.ascontiguousarray(batch[name]).tobytes())
    return digest.hexdigest()
