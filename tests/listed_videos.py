"""A dataset of the videos that a test names."""

from __future__ import annotations

from typing import Any

import tensorflow_datasets as tfds

from fakedetect_jax.data import schema
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem


class ListedVideos(FaceSequenceBuilder):
    """Has no README, unlike the datasets of data_builders."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, items: list[VideoItem], **options: Any) -> None:
        self._listed = items
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self, features=schema.features(), metadata=self._metadata(), disable_shuffling=True
        )

    def listing(self) -> Listing:
        return Listing(self._listed)
