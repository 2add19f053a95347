"""DeeperForensics-1.0 as records of face tracks."""

from __future__ import annotations

import tensorflow_datasets as tfds

from fakedetect_jax.data_builders.deeperforensics import layout
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing


class Builder(FaceSequenceBuilder):
    """Eleven folders of fakes, each against the official reals or the actors' recordings; see README.md."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {"2.0.0": "Records of one frame; people followed across cuts."}  # noqa: RUF012 (TFDS)
    VARIANTS = layout.VARIANTS
    SOURCE_HINT = (
        "the folder that holds manipulated_videos/ and lists/, of which "
        "https://github.com/EndlessSora/DeeperForensics-1.0 sends a link after its form, with FaceForensics++ linked "
        "as ffpp/ inside"
    )
    # Videos cut from one on YouTube (faceforensics/youtube.py) may be in two of the official splits; a note of the
    # listing names them. That no video itself and no actor is in two, the reader of the split lists checks.
    SHARED_IDENTITIES = frozenset({("train", "validation"), ("train", "test"), ("validation", "test")})

    def listing(self) -> Listing:
        """Returns the videos of the chosen folder of fakes and protocol."""
        return layout.list_videos(self.source, self.variant)
