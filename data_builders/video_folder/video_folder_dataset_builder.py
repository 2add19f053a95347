"""Anybody's own videos as records of face tracks."""

from __future__ import annotations

import tensorflow_datasets as tfds

from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing
from fakedetect_jax.data_builders.video_folder.layout import list_videos


class Builder(FaceSequenceBuilder):
    """A tree of real/ and fake/METHOD/, or a videos.csv; see README.md."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {"2.0.0": "Records of one frame; people followed across cuts."}  # noqa: RUF012 (TFDS)
    VARIANTS = ()
    SOURCE_HINT = (
        "a folder with real/ and fake/METHOD/, or with a videos.csv (path,label,method,identity,split)"
    )

    def listing(self) -> Listing:
        """Returns the videos of the user's folder."""
        return list_videos(self.source, self.variant)
