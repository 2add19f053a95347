"""The DFDC preview set: its dataset.json, its actors, and a validation split that is cut by actor."""

from __future__ import annotations

import collections
import dataclasses
import re
import reprlib
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.dfdc.metadata import read_metadata
from fakedetect_jax.data_builders.engine.file_names import as_text, fault_of_name, is_clutter
from fakedetect_jax.data_builders.engine.source_files import SourceError, require
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION
from fakedetect_jax.data_builders.engine.video_item import FAKE, Listing, VideoItem

METHODS = {"original_videos": REAL, "method_A": "method_A", "method_B": "method_B"}
VALIDATION_SHARE, VALIDATION_SEED = 0.1, 0


class Actors(NamedTuple):
    """Who is seen in a video, and whose face was put in; '' where the video's name does not tell."""

    target: str
    source: str


def parse_actors(key: str) -> Actors:
    """Return the actors that a path of dataset.json names.

    'original_videos/7/7_A_001.mp4' shows 7; 'method_A/7/7_A/9_7_A_001.mp4' shows 7 with the face of 9.
    """
    path = PurePosixPath(key)
    pattern = r"()([0-9]+)_.+" if path.parts[0] == "original_videos" else r"([0-9]+)_([0-9]+)_.+"
    match = re.fullmatch(pattern, path.stem)
    return Actors(target=match[2], source=match[1]) if match else Actors("", "")


def read_entries(path: Path) -> list[tuple[str, str, str]]:
    """Return (path, method, split) of every video that dataset.json lists, sorted by path.

    Raises:
        SourceError: There is an unknown folder, set or label, a path that leads out of its folder, or a label that
            contradicts the folder.
    """
    entries = read_metadata(path)
    videos = []
    for key, entry in sorted(entries.items()):
        folder, *below = key.split("/")
        label, split = entry.get("label"), entry.get("set")
        if folder not in METHODS:
            raise SourceError(f"{path}: {key[:80]!a} is not in {', '.join(METHODS)}; fetch the file again")
        if not below or any(map(fault_of_name, below)):
            raise SourceError(
                f"{path}: {key[:80]!a} is not the path of a video below its folder; fetch the file again"
            )
        if label not in (REAL, FAKE) or (label == REAL) != (METHODS[folder] == REAL):
            raise SourceError(
                f"{path}: {as_text(key)} has label {reprlib.repr(label)}, which contradicts its folder {folder}; fetch "
                "the file again"
            )
        if split not in (TRAIN, TEST):
            raise SourceError(
                f"{path}: {as_text(key)} has set {reprlib.repr(split)}, not {TRAIN} or {TEST}; fetch the file again"
            )
        videos.append((key, METHODS[folder], split))
    return videos


def list_videos(source: Path) -> Listing:
    """Return the videos of the preview set.

    Raises:
        SourceError: dataset.json is missing or contradicts itself.
    """
    path = require(
        source / "dataset.json",
        what="the list of the preview's videos",
        remedy="it comes in dfdc_preview_set.zip beside original_videos/, method_A/ and method_B/: name that folder",
    )
    entries = read_entries(path)
    items = [_item(source, *entry) for entry in entries]
    notes = [
        "Some videos show several people, one of whom may be forged; the preview does not say which one."
    ]
    _note_actors(items, notes)
    _note_unknown(source, {key for key, _, _ in entries}, notes)
    return Listing(_cut(items, notes), notes)


def draw_actors(items: list[VideoItem], *, share: float, seed: int) -> set[str]:
    """Draw actors for validation together with those whose faces they wear.

    A fake joins two actors and is lost if they end up in two splits. So the draw begins with any actor, goes on with
    those who share most fakes with the actors drawn so far, and begins anew when nobody is left who shares any.
    """
    shared: dict[str, collections.Counter[str]] = {
        actor: collections.Counter() for item in items for actor in _actors(item)
    }
    for item in items:
        if item.identity and item.source_identity:
            shared[item.identity][item.source_identity] += 1
            shared[item.source_identity][item.identity] += 1
    names = sorted(shared)
    if len(names) < 2:
        return set()
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    count = min(max(1, round(share * len(names))), len(names) - 1)
    drawn: set[str] = set()
    while len(drawn) < count:
        # Of equal counts, including all zeros, the first in the random order wins.
        drawn.add(
            max(
                (actor for actor in order if actor not in drawn),
                key=lambda actor: sum(shared[actor][other] for other in drawn),
            )
        )
    return drawn


def _cut(items: list[VideoItem], notes: list[str]) -> list[VideoItem]:
    train = [item for item in items if item.split == TRAIN]
    drawn = draw_actors(train, share=VALIDATION_SHARE, seed=VALIDATION_SEED)
    if not drawn:
        notes.append("There is no validation split: the training videos show fewer than two known actors.")
        return items
    kept, crossing = [], 0
    for item in items:
        inside = {actor in drawn for actor in _actors(item)} if item.split == TRAIN else {False}
        if len(inside) == 2:
            crossing += 1
            continue
        kept.append(dataclasses.replace(item, split=VALIDATION) if inside == {True} else item)
    notes.append(
        f"The preview has no validation set, so the training videos of {len(drawn)} actors were drawn for it "
        f"(seed {VALIDATION_SEED}); {crossing} fakes that join one of them to a training actor are left out."
    )
    return kept


def _item(source: Path, key: str, method: str, split: str) -> VideoItem:
    actors = parse_actors(key)
    return VideoItem(
        video_id=PurePosixPath(key).stem,
        split=split,
        method=method,
        source=source / key,
        identity=actors.target,
        source_identity=actors.source,
    )


def _actors(item: VideoItem) -> set[str]:
    return {item.identity, item.source_identity} - {""}


def _note_actors(items: list[VideoItem], notes: list[str]) -> None:
    unnamed = [item for item in items if not item.identity]
    if unnamed:
        notes.append(
            f"Videos that do not name their actors: {len(unnamed)}, the first is {as_text(unnamed[0].video_id)}."
        )
    splits: dict[str, set[str]] = collections.defaultdict(set)
    for item in items:
        for actor in _actors(item):
            splits[actor].add(item.split)
    both = sorted(actor for actor, found in splits.items() if len(found) == 2)
    if both:
        notes.append(
            f"Actors whom dataset.json itself has in train and in test: {len(both)}, the first is {both[0]}."
        )


def _note_unknown(source: Path, known: set[str], notes: list[str]) -> None:
    found = (
        path.relative_to(source).as_posix()
        for name in METHODS
        for path in (source / name).rglob("*.mp4")
        if not is_clutter(path.name)
    )
    unknown = sorted(key for key in found if key not in known)
    if unknown:
        notes.append(
            f"{len(unknown)} videos that dataset.json does not list are left out, the first is {as_text(unknown[0])}."
        )
