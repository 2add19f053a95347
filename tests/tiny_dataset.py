"""A dataset of a few videos, built as every other one is: the same face under several names."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds

from fakedetect_jax.data import schema
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem
from fakedetect_jax.data_builders.engine.workers import Workers

FIXTURES = Path(__file__).parent / "fixtures"
FACE = FIXTURES / "face.mp4"
BROKEN = FIXTURES / "README.md"


class TinyFaces(FaceSequenceBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=schema.features(), metadata=self._metadata(), disable_shuffling=True
        )

    def listing(self):
        def item(split, method, number, source=FACE):
            person = f"{split}{number}"
            return VideoItem(f"{person}_{method}", split, method, source, person)

        items = [
            item("train", "real", 0),
            item("train", "real", 1),
            item("train", "real", 2, BROKEN),
            item("validation", "real", 0),
            item("test", "real", 0),
            item("test", "real", 1),
            item("test", "swap", 0),
            item("test", "swap", 1),
            item("test", "swap", 2, BROKEN),
        ]
        return Listing(items)


# No process to start, and what a test patches holds.
IN_THIS_PROCESS = Workers(processes=0)


def build_tiny(folder: Path) -> Path:
    return prepare(TinyFaces(data_dir=folder), workers=IN_THIS_PROCESS)[0]
