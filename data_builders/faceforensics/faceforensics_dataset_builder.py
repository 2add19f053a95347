"""FaceForensics++ and DeepFakeDetection as records of face tracks."""

from __future__ import annotations

from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION
from fakedetect_jax.data_builders.engine.video_item import Listing
from fakedetect_jax.data_builders.faceforensics import layout


class Builder(FaceSequenceBuilder):
    """Five forgeries of a thousand videos in their official splits; `dfd_*` is DeepFakeDetection; see README.md."""

    VARIANTS = layout.VARIANTS
    SOURCE_HINT = (
        "the folder that holds original_sequences/ and manipulated_sequences/, fetched with the download script that "
        "the form at https://github.com/ondyari/FaceForensics gets you, plus that repository's dataset/splits"
    )
    # Seven YouTube videos were each cut into parts that are in two of the official splits; a note of the listing names
    # them. The reader of the split files checks that no video itself is in two splits.
    SHARED_IDENTITIES = frozenset({(TRAIN, VALIDATION), (TRAIN, TEST)})

    def listing(self) -> Listing:
        """Return the videos of the chosen compression or of DeepFakeDetection."""
        return layout.list_videos(self.source, self.variant)
