"""The folder of an exported detector."""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path

import jax
import numpy as np

from fakedetect_jax.deployment.detector_folder import DIGESTED, SPEC, DetectorError
from fakedetect_jax.deployment.inference import load_detector
from fakedetect_jax.digests import write_digests
from tests.fuzz.folder_mutations import damage_folder
from tests.fuzz.json_mutations import damage_json
from tests.fuzz.target import Case, Target, Wrong
from tests.tiny_detector import write_tiny_detector

_CARD = "README.md"


class Detectors(Target):
    """The detector that was exported is loaded, or the message names the folder and the remedy."""

    errors = (DetectorError,)

    def prepare(self) -> None:
        write_tiny_detector(self.corpus / "detector")

    def load(self) -> None:
        detector = load_detector(self.corpus / "detector")
        self._spec, self._variables = detector.spec, jax.device_get(detector._variables)

    def case(self, rng: random.Random, folder: Path) -> Case:
        detector = folder / "detector"
        shutil.copytree(self.corpus / "detector", detector)
        edited = rng.random() < 0.4
        if edited:
            # By someone who also made the digests anew.
            text = (detector / SPEC).read_text()
            (detector / SPEC).write_bytes(damage_json(rng, text))
            write_digests(detector, {name: detector / name for name in DIGESTED})
        else:
            damage_folder(rng, detector)

        def use() -> None:
            loaded = load_detector(detector)
            if not edited and loaded.spec != self._spec:
                raise Wrong("another detector.json")
            same = jax.tree.map(
                lambda one, other: np.array_equal(one, other), self._variables, loaded._variables
            )
            if not all(jax.tree.leaves(same)):
                raise Wrong("other weights")
            for name in ("frames", "stride", "interval", "size", "margin"):
                value = getattr(loaded.clip, name)
                if not isinstance(value, int | float) or not 0 <= value < 1e9 or not math.isfinite(value):
                    raise Wrong(f"clip.{name}={value!r} is accepted")
            json.dumps(loaded.spec)

        return Case(use, ("detector",))
