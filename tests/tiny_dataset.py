"""A dataset of a few videos, built as every other one is: the same face under several names."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets as tfds

from data_builders.base import FaceSequenceBuilder, VideoItem

FIXTURES = Path(__file__).parent / "fixtures"
FACE = FIXTURES / "face.mp4"
BROKEN = FIXTURES / "README.md"


class TinyFaces(FaceSequenceBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        from fakedetect_jax.data import schema

        return tfds.core.DatasetInfo(builder=self, features=schema.features())

    def videos(self):
        def item(split, method, number, source=FACE):
            person = f"{split}{number}"
            return VideoItem(f"{person}_{method}", split, method, source, person)

        return [
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


def build_tiny(folder: Path) -> Path:
    builder = TinyFaces(data_dir=str(folder), file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False), file_format="array_record"
    )
    return Path(builder.data_dir)
