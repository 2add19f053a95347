"""The videos of Celeb-DF: where they are, whose faces they show, and which split they are in."""

from __future__ import annotations

from pathlib import Path

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.celeb_df.names import (
    CELEBRITIES,
    FAKES,
    KINDS,
    SPELLINGS,
    YOUTUBE,
    parse,
    youtube_name,
)
from fakedetect_jax.data_builders.celeb_df.official_test_list import LIST_NAME, Video, parse_test_list
from fakedetect_jax.data_builders.celeb_df.validation import draw_people
from fakedetect_jax.data_builders.engine.file_names import as_text, find_files
from fakedetect_jax.data_builders.engine.source_files import SourceError, read_text, require
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION, cut_validation
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem

# The publisher's number of videos in each folder.
TOTALS = {
    "v2": {CELEBRITIES: 590, YOUTUBE: 300, FAKES: 5639},
    "v1": {CELEBRITIES: 158, YOUTUBE: 250, FAKES: 795},
}
VARIANTS = tuple(TOTALS)
PUBLISHED = {"v2": {(TEST, REAL): 178, (TEST, FAKES): 340}, "v1": {}}

# Enough for one of v2's two groups of ten people, each with about a sixth of the fakes.
VALIDATION_SHARE = 0.2
VALIDATION_SEED = 0

ORIGIN = "https://github.com/yuezunli/celeb-deepfakeforensics"


def list_videos(source: Path, variant: str) -> Listing:
    """Return the videos of Celeb-DF: the official test list, and train and validation out of the rest.

    Args:
        source: The folder that holds Celeb-real/, YouTube-real/, Celeb-synthesis/ and the test list.
        variant: 'v2' or 'v1', which decides what the counts are compared with.

    Raises:
        SourceError: A folder or the list is missing or not as published.
    """
    path = require(
        source / LIST_NAME,
        what="the official test list",
        remedy=f"it is beside the folders of videos in the download, see {ORIGIN}",
    )
    listed = parse_test_list(read_text(path), path)
    folders = {kind: find_folder(source, kind) for kind in KINDS}
    found = {kind: {file.stem for file in find_files(folder)} for kind, folder in folders.items()}
    notes = _count_notes(found, variant)

    people = {
        (kind, stem): people
        for kind in KINDS
        for stem in sorted(found[kind] | {stem for other, stem in listed if other == kind})
        if (people := parse(kind, stem))
    }
    splits, split_notes = _assign(people, set(listed))
    items = [
        VideoItem(
            # Names are unique within a folder, but both real folders become one method.
            video_id=youtube_name(stem) if kind == YOUTUBE else stem,
            split=splits[kind, stem],
            method=FAKES if kind == FAKES else REAL,
            source=folders[kind] / f"{stem}.mp4",
            identity=identity,
            source_identity=source_identity,
        )
        for (kind, stem), (identity, source_identity) in people.items()
    ]
    return Listing(items, notes + split_notes, dict(PUBLISHED[variant]))


def find_folder(source: Path, kind: str) -> Path:
    """Return the folder of videos of a kind, in either spelling, with or without an inner videos/.

    Raises:
        SourceError: There is no such folder, or two could be meant.
    """
    names = [path.name for path in source.iterdir() if path.is_dir()] if source.is_dir() else []
    there = [source / name for name in names if name in SPELLINGS[kind]]
    if not there:
        raise SourceError(f"{source / kind}: the folder is missing; it is part of the download, see {ORIGIN}")
    if len(there) > 1:
        both = " and ".join(sorted(path.name for path in there))
        raise SourceError(f"{source}: holds {both}, two spellings of one folder; keep the complete one")
    folder, inner = there[0], there[0] / "videos"
    if not inner.is_dir():
        return folder
    if find_files(folder):
        raise SourceError(f"{folder}: holds videos and a folder videos/; move all videos to one of the two")
    return inner


def _assign(people: dict[Video, tuple[str, str]], listed: set[Video]) -> tuple[dict[Video, str], list[str]]:
    """Return the split of every video, and notes on what is ours and what is the publisher's."""
    rest = {video: who for video, who in people.items() if video not in listed}
    swaps = [who for (kind, _), who in rest.items() if kind == FAKES]
    celebrities = draw_people(swaps, share=VALIDATION_SHARE, seed=VALIDATION_SEED)
    passers = [who[0] for (kind, _), who in rest.items() if kind == YOUTUBE]
    held_out = set(celebrities)
    if celebrities and len(passers) > 1:
        held_out |= cut_validation(passers, share=VALIDATION_SHARE, seed=VALIDATION_SEED)
    splits = dict.fromkeys(people, TEST) | {
        video: VALIDATION if who[0] in held_out else TRAIN for video, who in rest.items()
    }
    if celebrities:
        note = (
            f"Celeb-DF has no official validation split; one without the people of train was cut from the videos "
            f"outside the test list (seed {VALIDATION_SEED}): {', '.join(sorted(celebrities, key=_number))}, "
            f"and {len(held_out - celebrities)} YouTube videos"
        )
    else:
        note = (
            "there is no validation split: Celeb-DF has no official one, and the fakes outside the test list link "
            "all people into one group, so that nobody can be held out"
        )
    return splits, [note, *_shared_note(people, listed)]


def _shared_note(people: dict[Video, tuple[str, str]], listed: set[Video]) -> list[str]:
    tested = {person for video in listed for person in people[video]} - {""}
    others = {person for video, who in people.items() if video not in listed for person in who} - {""}
    shared = tested & others
    if not shared:
        return []
    return [
        f"the official test list shares people with the rest: {len(shared)} of the {len(tested)} people of 'test' are "
        "also in 'train' or 'validation'"
    ]


def _count_notes(found: dict[str, set[str]], variant: str) -> list[str]:
    notes = []
    for kind, stems in found.items():
        strange = sorted(stem for stem in stems if parse(kind, stem) is None)
        if strange:
            notes.append(
                f"{kind}: videos whose names do not fit, not built: {len(strange)}, e.g. {as_text(strange[0])}.mp4"
            )
        count, published = len(stems) - len(strange), TOTALS[variant][kind]
        if count != published:
            notes.append(f"{kind}: {count} videos found, the publisher counts {published} in {variant}")
    return notes


def _number(person: str) -> int:
    return int(person.removeprefix("id"))
