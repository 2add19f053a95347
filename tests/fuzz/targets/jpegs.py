"""The pictures in records."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import simplejpeg

from fakedetect_jax.data.clips import Clip
from fakedetect_jax.data.index import Entry
from fakedetect_jax.data.records import DamagedDataset
from fakedetect_jax.data.videos import Video, Videos
from fakedetect_jax.faces import Extraction
from fakedetect_jax.faces.landmarks import LANDMARKS
from tests.faces.encoding import moving_scene
from tests.fuzz.byte_mutations import damage, damage_near
from tests.fuzz.target import Case, Target, Wrong

SIDE = 64
_PARTS = (b"\xff\xc0", b"\xff\xc4", b"\xff\xda", b"\xff\xdb", b"\xff\xd9", b"JFIF")


class Jpegs(Target):
    """A picture of the stated size comes out, or the message names the video and the frame."""

    errors = (DamagedDataset,)
    memory = 64 << 20

    def prepare(self) -> None:
        for number, frame in enumerate(moving_scene(3, SIDE, SIDE)):
            for kind, options in {
                "colour": {},
                "grey": {"colorspace": "GRAY"},
                "full": {"colorsubsampling": "444"},
            }.items():
                image = frame[..., :1] if kind == "grey" else frame
                image = np.ascontiguousarray(image)
                (self.corpus / f"{kind}{number}.jpg").write_bytes(simplejpeg.encode_jpeg(image, **options))

    def load(self) -> None:
        self._data = [path.read_bytes() for path in sorted(self.corpus.glob("*.jpg"))]

    def case(self, rng: random.Random, folder: Path) -> Case:
        data = rng.choice(self._data)
        changed = damage_near(rng, data, _PARTS) if rng.random() < 0.5 else damage(rng, data, self._data)
        (folder / "frame.jpg").write_bytes(changed)
        record = {"jpeg": changed, "landmarks": np.zeros((LANDMARKS, 2), np.float32)}
        unknown = dict.fromkeys(("compression", "identity", "source_identity"), "")
        track = Entry(
            "v7", "some", "train", "real", label=0, main=True, track=0, person=0, first=0, frames=1, **unknown
        )
        video = Video((track,), (np.zeros(1, np.int32),), (np.zeros(1, np.float32),))
        videos = Videos([video], [record], Extraction(size=SIDE))

        def use() -> None:
            batch = videos.load([(0, Clip(0, np.zeros(1, int), np.ones(1, bool)))])
            if batch["frames"].shape != (1, 1, SIDE, SIDE, 3):
                raise Wrong(f"a picture of {batch['frames'].shape}")

        return Case(use, ("v7",))
