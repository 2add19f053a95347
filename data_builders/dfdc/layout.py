"""The videos of DFDC: where they and their labels are, and which split they are in."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from pathlib import Path

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.dfdc import preview
from fakedetect_jax.data_builders.dfdc.metadata import read_metadata
from fakedetect_jax.data_builders.engine.file_names import (
    as_text,
    fault_of_name,
    find_files,
    is_clutter,
    listed,
)
from fakedetect_jax.data_builders.engine.source_files import SourceError, read_rows, read_text, require
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION, cut_validation
from fakedetect_jax.data_builders.engine.video_item import FAKE, Listing, VideoItem

VARIANTS = FULL, FULL_3215, PREVIEW = "full", "full_3215", "preview"
PARTS = 50
SUBSET_LIST, SUBSET_SIZE = "dfdc_all_vids.txt", 3215
VALIDATION_SHARE, VALIDATION_SEED = 0.1, 0

_LABELS = {"REAL": REAL, "FAKE": FAKE}
_TEST_LABELS = {"0": REAL, "1": FAKE}
_PUBLISHED = {(TEST, REAL): 2500, (TEST, FAKE): 2500}


def list_videos(source: Path, variant: str) -> Listing:
    """Return the videos of one variant of DFDC: 'full', 'full_3215' or 'preview'.

    Raises:
        SourceError: A file of labels is missing or contradicts itself.
    """
    if variant == PREVIEW:
        return preview.list_videos(source)
    parts = find_parts(source)
    labels = _find_labels(source)
    if not parts and labels is None:
        raise SourceError(
            f"{source}: neither a part of the training set (dfdc_train_part_0 ... dfdc_train_part_{PARTS - 1}) "
            "nor the test set (test/labels.csv); name the folder that holds them, unzipped"
        )
    notes = [
        "DFDC names no forgery method: every fake has the method 'fake'.",
        "Some videos show several people, one of whom may be forged; DFDC does not say which one.",
        "DFDC names no actors: the identity is the original video, and empty for the test videos. Whether the splits "
        "share people is unknown and not checked.",
    ]
    items = _train_items(parts, notes) + _test_items(source, labels, variant, notes)
    published = _PUBLISHED if variant == FULL and labels is not None else {}
    return Listing(items, notes, dict(published))


def find_parts(source: Path) -> dict[int, Path]:
    """Return the folders of the training set by the number of the part, in that order.

    Raises:
        SourceError: A part is there twice.
    """
    parts: dict[int, Path] = {}
    for folder in (source, source / "train"):
        for path in sorted(folder.glob("dfdc_train_part_*")):
            number = part_number(path.name)
            if number is None or not path.is_dir():
                continue
            if number in parts:
                raise SourceError(f"{path}: part {number} is also at {parts[number]}; keep one of the two")
            parts[number] = _videos_folder(path)
    return dict(sorted(parts.items()))


def _videos_folder(part: Path) -> Path:
    """Return the folder of a part's videos: the part, or one in it, where a tool unzipped into a folder of its own.

    Raises:
        SourceError: Several could be meant.
    """
    inner = sorted(path.parent for path in part.glob("*/metadata.json") if not is_clutter(path.parent.name))
    if not inner or (part / "metadata.json").exists():
        return part
    if len(inner) > 1:
        raise SourceError(f"{part}: {listed(inner)} each hold a metadata.json; keep one of them")
    return inner[0]


def part_number(name: str) -> int | None:
    """Return the number of a part's folder ('dfdc_train_part_07' and '..._7' are 7), or None for other names."""
    match = re.fullmatch(r"dfdc_train_part_([0-9]+)", name)
    return int(match[1]) if match else None


def read_part(folder: Path) -> list[tuple[str, str, str]]:
    """Return (file name, method, original's file name) of every video of a part, sorted by name.

    A real video is its own original.

    Raises:
        SourceError: metadata.json is missing or has a name that no file can have, a label that is neither FAKE nor
            REAL, or a fake without its original.
    """
    path = require(
        folder / "metadata.json",
        what="the file of labels of this part",
        remedy="unzip the part again: the file is beside the videos",
    )
    entries = read_metadata(path)
    videos = []
    for name, entry in sorted(entries.items()):
        if fault := fault_of_name(name):
            raise SourceError(f"{path}: {name[:80]!a} {fault}; fetch the part again")
        label, original = entry.get("label"), entry.get("original")
        method = _LABELS.get(label) if isinstance(label, str) else None
        if method is None:
            raise SourceError(
                f"{path}: {as_text(name)} has label {reprlib.repr(label)}, not FAKE or REAL; fetch the part again"
            )
        if method == REAL:
            original = name
        if not isinstance(original, str) or original not in entries:
            raise SourceError(
                f"{path}: {as_text(name)} is a fake of {reprlib.repr(original)}, which this file does not list; a part "
                "holds the originals of its fakes: fetch the part again"
            )
        videos.append((name, method, original))
    return videos


def read_test_labels(path: Path) -> dict[str, str]:
    """Return the method ('real' or 'fake') of every test video by file name, from labels.csv (1 = fake).

    Raises:
        SourceError: The columns are not the expected ones, or there is a name that no file can have, a label that is
            neither 0 nor 1, or the same video twice.
    """
    methods: dict[str, str] = {}
    rows = read_rows(path)
    _, columns = next(rows, ("", []))
    if not {"filename", "label"} <= set(columns):
        raise SourceError(
            f"{path}: the columns are {reprlib.repr(columns)}, not filename,label; it must be the test set's labels.csv"
        )
    for place, values in rows:
        row = dict(zip(columns, values, strict=False))
        name, label = row["filename"], row.get("label", "")
        if fault := fault_of_name(name):
            raise SourceError(f"{place}: {name[:80]!a} {fault}; fetch the test set again")
        if label not in _TEST_LABELS:
            raise SourceError(f"{place}: {as_text(name)} has label {label[:80]!r}, not 0 or 1 (= fake)")
        if name in methods:
            raise SourceError(f"{place}: {as_text(name)} is listed twice; keep one line")
        methods[name] = _TEST_LABELS[label]
    return methods


def read_subset(path: Path) -> list[str]:
    """Return the video names (without suffix) of a list with one name per line."""
    return [line.strip().removesuffix(".mp4") for line in read_text(path).splitlines() if line.strip()]


def _train_items(parts: dict[int, Path], notes: list[str]) -> list[VideoItem]:
    absent = [str(number) for number in range(PARTS) if number not in parts]
    if absent:
        notes.append(f"{len(absent)} of {PARTS} training parts are missing: {', '.join(absent)}.")
    validation: set[str] = set()
    if len(parts) >= 2:
        validation = cut_validation(
            [str(number) for number in parts], share=VALIDATION_SHARE, seed=VALIDATION_SEED
        )
        chosen = ", ".join(sorted(validation, key=int))
        notes.append(
            f"DFDC has no labelled validation set, so training part(s) {chosen} were drawn for it "
            f"(seed {VALIDATION_SEED}); a fake and its original are always in one part."
        )
    elif parts:
        notes.append(
            "There is no validation split: it consists of whole training parts, and only one part is there."
        )
    items = []
    for number, folder in parts.items():
        split = VALIDATION if str(number) in validation else TRAIN
        items += _part_items(folder, split, notes)
    return items


def _part_items(folder: Path, split: str, notes: list[str]) -> list[VideoItem]:
    videos = read_part(folder)
    _note_unknown(folder, {name for name, _, _ in videos}, "its metadata.json", notes)
    return [
        VideoItem(
            video_id=Path(name).stem,
            split=split,
            method=method,
            source=folder / name,
            identity=Path(original).stem,
        )
        for name, method, original in videos
    ]


def _test_folders(source: Path) -> Iterator[Path]:
    return (source / name for name in ("test", "test_videos"))


def _find_labels(source: Path) -> Path | None:
    candidates = [folder / "labels.csv" for folder in (*_test_folders(source), source)]
    found = next((path for path in candidates if path.exists()), None)
    videos = next((folder for folder in _test_folders(source) if folder.is_dir()), None)
    if found is None and videos is not None:
        raise SourceError(
            f"{videos}: the labels of the test videos (labels.csv: filename,label) are missing; they come with the "
            "test set at https://ai.meta.com/datasets/dfdc/; put the file into this folder"
        )
    return found


def _test_items(source: Path, labels: Path | None, variant: str, notes: list[str]) -> list[VideoItem]:
    if labels is None:
        if variant == FULL_3215:
            raise SourceError(f"{source / 'test'}: variant {FULL_3215} needs the test set, which is missing")
        notes.append("The test set is missing: there is no test/labels.csv.")
        return []
    methods = read_test_labels(labels)
    folder = next((path for path in _test_folders(source) if path.is_dir()), source / "test")
    _note_unknown(folder, set(methods), labels.name, notes)
    if variant == FULL_3215:
        methods = _restrict(methods, source, labels, notes)
    return [
        VideoItem(video_id=Path(name).stem, split=TEST, method=method, source=folder / name, identity="")
        for name, method in sorted(methods.items())
    ]


def _restrict(methods: dict[str, str], source: Path, labels: Path, notes: list[str]) -> dict[str, str]:
    path = require(
        source / SUBSET_LIST,
        what=f"the list of the {SUBSET_SIZE} test videos",
        remedy=f"copy data/datasets/DFDC/{SUBSET_LIST} of the LipForensics repository "
        "(https://github.com/ahaliassos/LipForensics) here, or choose the variant full",
    )
    wanted = set(read_subset(path))
    unknown = sorted(wanted - {Path(name).stem for name in methods})
    if unknown:
        raise SourceError(
            f"{path}: names {len(unknown)} videos that {labels} does not list, the first is {unknown[0]!r}; "
            "both files must be the published ones"
        )
    notes.append(f"The test split is the {len(wanted)} videos of {SUBSET_LIST}, not the publisher's 5,000.")
    if len(wanted) != SUBSET_SIZE:
        notes.append(f"{SUBSET_LIST} names {len(wanted)} videos, but the published list {SUBSET_SIZE}.")
    return {name: method for name, method in methods.items() if Path(name).stem in wanted}


def _note_unknown(folder: Path, known: set[str], list_name: str, notes: list[str]) -> None:
    unknown = [path.name for path in find_files(folder) if path.name not in known]
    if unknown:
        notes.append(
            f"{folder.name}: {len(unknown)} videos that {list_name} does not list are left out, "
            f"the first is {as_text(unknown[0])}."
        )
