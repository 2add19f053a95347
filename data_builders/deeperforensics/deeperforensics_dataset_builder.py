"""DeeperForensics-1.0 as records of face tracks."""

from __future__ import annotations

from fakedetect_jax.data_builders.deeperforensics import layout
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION
from fakedetect_jax.data_builders.engine.video_item import Listing


class Builder(FaceSequenceBuilder):
    """Eleven folders of fakes, each against the official reals or the actors' recordings; see README.md."""

    VARIANTS = layout.VARIANTS
    SOURCE_HINT = (
        "the folder that holds manipulated_videos/ and lists/, with FaceForensics++ linked as ffpp/ inside; the form "
        "at https://github.com/EndlessSora/DeeperForensics-1.0 gets you a download link"
    )
    LINKED = (layout.TARGETS.parts[0],)
    # Videos cut from one YouTube video (faceforensics/youtube.py) may be in two of the official splits; a note of the
    # listing names them. The reader of the split lists checks that no video itself and no actor is in two splits.
    SHARED_IDENTITIES = frozenset({(TRAIN, VALIDATION), (TRAIN, TEST), (VALIDATION, TEST)})

    def listing(self) -> Listing:
        """Return the videos of the chosen folder of fakes and protocol."""
        return layout.list_videos(self.source, self.variant)
