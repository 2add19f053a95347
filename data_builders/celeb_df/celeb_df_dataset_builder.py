"""Celeb-DF as records of face tracks."""

from __future__ import annotations

import tensorflow_datasets as tfds

from fakedetect_jax.data_builders.celeb_df import layout
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing


class Builder(FaceSequenceBuilder):
    """Face swaps of celebrities; the official test list, and a validation split of our own; see README.md."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {"2.0.0": "Records of one frame; people followed across cuts."}  # noqa: RUF012 (TFDS)
    VARIANTS = layout.VARIANTS
    SOURCE_HINT = (
        "the folder that holds Celeb-real/, YouTube-real/, Celeb-synthesis/ and List_of_testing_videos.txt, of which "
        "https://github.com/yuezunli/celeb-deepfakeforensics sends a link after its form"
    )
    # The publisher's test list holds other videos of the same people: here the check may only warn.
    SHARED_IDENTITIES = frozenset({("train", "test"), ("validation", "test")})

    def listing(self) -> Listing:
        """Returns the videos of the chosen version."""
        return layout.list_videos(self.source, self.variant)
