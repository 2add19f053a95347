"""The fakes of DeeperForensics-1.0, and the real videos of the protocol that the variant names."""

from __future__ import annotations

from pathlib import Path

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.deeperforensics.official_splits import parse_fake, read_splits
from fakedetect_jax.data_builders.engine.file_names import as_text, find_files, is_clutter, listed
from fakedetect_jax.data_builders.engine.source_files import require
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem
from fakedetect_jax.data_builders.faceforensics.youtube import shared_notes, youtube_identity

CLEAN = ("end_to_end", "reenact_postprocess")
DISTORTED = (
    *(f"end_to_end_level_{level}" for level in (1, 2, 3, 4, 5)),
    "end_to_end_random_level",
    *(f"end_to_end_mix_{count}_distortions" for count in (2, 3, 4)),
)
FOLDERS = (*CLEAN, *DISTORTED)
ACTORS = "__source_videos"
VARIANTS = (*FOLDERS, *(f"{folder}{ACTORS}" for folder in FOLDERS))

# The fakes of a folder; as many real videos, from which they were made.
PUBLISHED = {TRAIN: 703, VALIDATION: 96, TEST: 201}

# Where the user puts, or links, the FaceForensics++ download.
TARGETS = Path("ffpp/original_sequences/youtube/c23/videos")


def list_videos(source: Path, variant: str) -> Listing:
    """Return the fakes of one folder in their official splits, and the reals of one protocol.

    Args:
        source: The folder that holds manipulated_videos/, lists/ and, depending on the protocol, ffpp/ or
            source_videos/.
        variant: A folder of manipulated_videos. Its name alone is the publisher's protocol: the reals are the
            FaceForensics++ videos from which the fakes were made. With the suffix '__source_videos', the reals are the
            recordings of the actors.

    Raises:
        SourceError: A folder or a list is missing or not as published.
    """
    method = variant.removesuffix(ACTORS)
    splits = read_splits(source)
    fakes, notes = _fakes(source, method, splits)
    published = {(split, method): count for split, count in PUBLISHED.items()}
    if variant == method:
        reals, more = _targets(source, method, splits)
        published |= {(split, REAL): count for split, count in PUBLISHED.items()}
    else:
        reals, more = _recordings(source, splits)
    targets = {stem.split("_")[0]: split for split, stems in splits.items() for stem in stems}
    return Listing(reals + fakes, notes + shared_notes(targets) + more, published)


def _fakes(source: Path, method: str, splits: dict[str, list[str]]) -> tuple[list[VideoItem], list[str]]:
    folder = require(
        source / "manipulated_videos" / method,
        what="the folder of fakes",
        remedy="download its archive and unpack it with the publisher's unzip.sh",
    )
    items = [
        VideoItem(stem, split, method, folder / f"{stem}.mp4", youtube_identity(people[0]), people[1])
        for split, stems in splits.items()
        for stem in stems
        if (people := parse_fake(stem))
    ]
    extra = {path.stem for path in find_files(folder)} - {item.video_id for item in items}
    if extra:
        note = f"{method}: videos that no split list names, not built: {len(extra)}, e.g. {as_text(min(extra))}.mp4"
        return items, [note]
    return items, []


def _targets(source: Path, method: str, splits: dict[str, list[str]]) -> tuple[list[VideoItem], list[str]]:
    """Return the reals of the official protocol, whose lists name only fakes: the videos the fakes were made from."""
    folder = require(
        source / TARGETS,
        what="the folder of real videos",
        remedy=(
            "the official reals are the c23 videos of FaceForensics++, which this download does not contain; link "
            f"that download: ln -s <FaceForensics++> {source / TARGETS.parts[0]}; or take variant {method}{ACTORS}"
        ),
    )
    items = [
        VideoItem(target, split, REAL, folder / f"{target}.mp4", identity=youtube_identity(target))
        for split, stems in splits.items()
        for target in dict.fromkeys(stem.split("_")[0] for stem in stems)
    ]
    notes = [
        "the reals are FaceForensics++ videos in other splits than its own: a detector trained on the 'train' of "
        "FaceForensics++ has seen some of this 'test'"
    ]
    if method in DISTORTED:
        notes.append(
            f"the fakes of {method} are distorted and the reals are not, so the distortion alone can tell them apart; "
            "the publisher leaves it to the user to distort the reals alike"
        )
    return items, notes


def _recordings(source: Path, splits: dict[str, list[str]]) -> tuple[list[VideoItem], list[str]]:
    """Return the reals of the other protocol: an actor's recordings are in the split of the fakes with that face."""
    folder = require(
        source / "source_videos",
        what="the folder of the actors' recordings",
        remedy="download its archives and unpack them with the publisher's unzip.sh",
    )
    homes = {stem.split("_")[1]: split for split, stems in splits.items() for stem in stems}
    items: list[VideoItem] = []
    without = []
    for actor in sorted(
        path.name for path in folder.iterdir() if path.is_dir() and not is_clutter(path.name)
    ):
        if actor not in homes:
            without.append(actor)
            continue
        # <light>/<emotion>/<camera>/, or BlendShape/<camera>/: the depth differs.
        paths = sorted(path for path in (folder / actor).rglob("*.mp4") if not is_clutter(path.name))
        items += [VideoItem(path.stem, homes[actor], REAL, path, identity=actor) for path in paths]
    notes = [
        "the reals are the actors' recordings in a studio, which the publisher says are not the real part of this "
        "dataset: the scene alone tells them from the fakes; numbers cannot be compared with the official protocol",
        "the recordings have no official split: each actor's are in the split of the fakes with the actor's face",
    ]
    if without:
        notes.append(f"actors whom no split list names, not built: {listed(without)}")
    return items, notes
