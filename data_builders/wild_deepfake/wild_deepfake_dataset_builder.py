"""WildDeepfake as records of face tracks."""

from __future__ import annotations

import tensorflow_datasets as tfds

from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing
from fakedetect_jax.data_builders.wild_deepfake.layout import list_videos
from fakedetect_jax.data_builders.wild_deepfake.sequences import write_frames


class Builder(FaceSequenceBuilder):
    """Face sequences of 707 forged videos, and of real ones, found on the internet; see README.md."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {"2.0.0": "Records of one frame; people followed across cuts."}  # noqa: RUF012 (TFDS)
    VARIANTS = ()
    SOURCE_HINT = (
        "the folder deepfake_in_the_wild with its archives left packed, from "
        "https://huggingface.co/datasets/xingjunm/WildDeepfake"
    )
    materialise = staticmethod(write_frames)

    def listing(self) -> Listing:
        """Returns the face sequences of all archives."""
        return list_videos(self.source, self.variant)
