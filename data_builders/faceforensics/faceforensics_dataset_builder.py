"""FaceForensics++ and DeepFakeDetection as records of face tracks."""

from __future__ import annotations

import tensorflow_datasets as tfds

from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing
from fakedetect_jax.data_builders.faceforensics import layout


class Builder(FaceSequenceBuilder):
    """Five forgeries of a thousand videos in their official splits; `dfd_*` is DeepFakeDetection; see README.md."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {"2.0.0": "Records of one frame; people followed across cuts."}  # noqa: RUF012 (TFDS)
    VARIANTS = layout.VARIANTS
    SOURCE_HINT = (
        "the folder that holds original_sequences/ and manipulated_sequences/, fetched with the download script that "
        "https://github.com/ondyari/FaceForensics sends after its form, plus that repository's dataset/splits"
    )
    # Seven YouTube videos were cut in two, and the halves are in two of the official splits; a note of the listing
    # names them. That no video itself is in two splits, the reader of the split files checks.
    SHARED_IDENTITIES = frozenset({("train", "validation"), ("train", "test")})

    def listing(self) -> Listing:
        """Returns the videos of the chosen compression or of DeepFakeDetection."""
        return layout.list_videos(self.source, self.variant)
