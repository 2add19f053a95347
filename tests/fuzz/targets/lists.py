"""What the published datasets say about their videos: metadata.json and dataset.json of DFDC, and lists of splits."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from fakedetect_jax.data_builders.celeb_df.official_test_list import parse_test_list
from fakedetect_jax.data_builders.deeperforensics import official_splits as deeperforensics
from fakedetect_jax.data_builders.dfdc import layout as dfdc
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.faceforensics import layout as faceforensics
from tests.fuzz.byte_mutations import damage
from tests.fuzz.json_mutations import damage_json
from tests.fuzz.listed import check_listing
from tests.fuzz.target import Case, Target, Wrong

_PART = {
    "aaa.mp4": {"label": "REAL", "split": "train"},
    "bbb.mp4": {"label": "FAKE", "split": "train", "original": "aaa.mp4"},
    "ccc.mp4": {"label": "FAKE", "split": "train", "original": "aaa.mp4"},
}
_PREVIEW = {
    "original_videos/7/7_A_001.mp4": {"label": "real", "set": "train", "augmentations": []},
    "original_videos/9/9_A_001.mp4": {"label": "real", "set": "train"},
    "method_A/7/7_A/9_7_A_001.mp4": {"label": "fake", "set": "train", "target_id": 7, "swapped_id": 9},
    "method_B/11/11_B/12_11_B_002.mp4": {"label": "fake", "set": "test"},
}
_PAIRS = [["012", "026"], ["001", "870"]]
_CELEB = "1 Celeb-real/id0_0000.mp4\n1 YouTube-real/00170.mp4\n0 Celeb-synthesis/id1_id0_0007.mp4\n"
_DEEPER = "000_M101.mp4\n001_W135.mp4\n"


class Lists(Target):
    """A list names videos below its folder, or the message names the file."""

    errors = (SourceError,)

    def prepare(self) -> None:
        """Write nothing: the sound lists are above."""

    def case(self, rng: random.Random, folder: Path) -> Case:
        make: Callable[[random.Random, Path], Case] = rng.choice(
            (_dfdc, _dfdc, _preview, _faceforensics, _celeb_df, _deeperforensics)
        )
        return make(rng, folder)


def _dfdc(rng: random.Random, folder: Path) -> Case:
    for number in range(2):
        part = folder / f"dfdc_train_part_{number}"
        part.mkdir()
        (part / "metadata.json").write_text(json.dumps(_PART))
    damaged = folder / "dfdc_train_part_1" / "metadata.json"
    damaged.write_bytes(damage_json(rng, json.dumps(_PART)))
    return Case(lambda: check_listing(dfdc.list_videos(folder, "full"), folder), ("metadata.json",))


def _preview(rng: random.Random, folder: Path) -> Case:
    (folder / "dataset.json").write_bytes(damage_json(rng, json.dumps(_PREVIEW)))
    return Case(lambda: check_listing(dfdc.list_videos(folder, "preview"), folder), ("dataset.json",))


def _faceforensics(rng: random.Random, folder: Path) -> Case:
    videos = folder / "original_sequences" / "youtube" / "c23" / "videos"
    videos.mkdir(parents=True)
    (folder / "splits").mkdir()
    for name in ("train.json", "val.json", "test.json"):
        (folder / "splits" / name).write_text("[]")
    (folder / "splits" / "train.json").write_bytes(damage_json(rng, json.dumps(_PAIRS)))
    return Case(lambda: check_listing(faceforensics.list_videos(folder, "c23"), folder), (".json",))


def _celeb_df(rng: random.Random, folder: Path) -> Case:
    path = folder / "List_of_testing_videos.txt"
    path.write_bytes(damage(rng, _CELEB.encode(), [_DEEPER.encode()]))

    def use() -> None:
        videos = parse_test_list(path.read_text("utf-8-sig", errors="replace"), path)
        if not videos or len(set(videos)) < len(videos):
            raise Wrong(f"videos {videos}")

    return Case(use, (path.name,))


def _deeperforensics(rng: random.Random, folder: Path) -> Case:
    splits = folder / "lists" / "splits"
    splits.mkdir(parents=True)
    for name, text in (("train.txt", ""), ("val.txt", "002_M105.mp4\n"), ("test.txt", "003_W103.mp4\n")):
        (splits / name).write_text(text)
    (splits / "train.txt").write_bytes(damage(rng, _DEEPER.encode(), [_CELEB.encode()]))

    def use() -> None:
        found = deeperforensics.read_splits(folder)
        names = [name for split in found.values() for name in split]
        if len(set(names)) < len(names) or not {"002_M105", "003_W103"} <= set(names):
            raise Wrong(f"splits {found}")

    return Case(use, (".txt",))
