"""DFDC as records of face tracks."""

from __future__ import annotations

import tensorflow_datasets as tfds

from fakedetect_jax.data_builders.dfdc.layout import FULL, FULL_3215, PREVIEW, list_videos
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing


class Builder(FaceSequenceBuilder):
    """The Deepfake Detection Challenge; see README.md for its layouts, protocols and traps."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {"2.0.0": "Records of one frame; people followed across cuts."}  # noqa: RUF012 (TFDS)
    VARIANTS = (FULL, FULL_3215, PREVIEW)
    SOURCE_HINT = (
        "the folder with dfdc_train_part_0 ... dfdc_train_part_49 and test/ (for preview: with dataset.json), "
        "unzipped, from https://ai.meta.com/datasets/dfdc/"
    )

    def listing(self) -> Listing:
        """Returns the videos of the chosen variant."""
        return list_videos(self.source, self.variant)
