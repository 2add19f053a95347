"""The face sequences of WildDeepfake: where their archives are, and which split they are in."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.engine.file_names import as_text, find_files
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION, cut_validation
from fakedetect_jax.data_builders.engine.video_item import FAKE, Listing, VideoItem
from fakedetect_jax.data_builders.wild_deepfake.archive import natural_key
from fakedetect_jax.data_builders.wild_deepfake.sequences import FaceSequenceSource, find_sequences

METHODS = (REAL, FAKE)
VALIDATION_SHARE, VALIDATION_SEED = 0.1, 0

_ROOT = "deepfake_in_the_wild"
_PUBLISHED = {(TEST, REAL): 396, (TEST, FAKE): 410}


def list_videos(source: Path) -> Listing:
    """Return every face sequence of the archives.

    Only the archives know the names of the sequences, so each archive is read once, in a stream.

    Raises:
        SourceError: There are no archives, or one must not be unpacked.
    """
    root = source / _ROOT if (source / _ROOT).is_dir() else source
    notes = [
        "A video has the number of its archive, and the archive is its identity, as the publisher names no people.",
        "Every image is a tight crop of a face and gets a border of repeated edge pixels.",
    ]
    items: list[VideoItem] = []
    archives = 0
    for published_split in (TRAIN, TEST):
        for method in METHODS:
            found = find_archives(root, method, published_split)
            archives += len(found)
            if not found:
                notes.append(f"{method}_{published_split} is missing, or holds no archive.")
                continue
            validation = _validation(found, method, notes) if published_split == TRAIN else set()
            for archive in found:
                split = VALIDATION if archive.name in validation else published_split
                items += _archive_items(archive, method, published_split, split, notes)
    if not archives:
        raise SourceError(
            f"{root}: no archive in real_train, real_test, fake_train or fake_test (N.tar.gz, left packed); name "
            f"the folder {_ROOT} of https://huggingface.co/datasets/xingjunm/WildDeepfake, or its parent folder"
        )
    return Listing(items, notes, dict(_PUBLISHED))


def find_archives(root: Path, method: str, split: str) -> list[Path]:
    """Return the archives of one of the four folders, spelt with '_' or ' ', in the order of their numbers.

    Raises:
        SourceError: Both spellings are there.
    """
    folders = [root / f"{method}{gap}{split}" for gap in ("_", " ")]
    there = [folder for folder in folders if folder.is_dir()]
    if len(there) == 2:
        raise SourceError(
            f"{there[0]}: there is also {there[1].name!r}; keep one, or move all archives into one"
        )
    archives = find_files(there[0], ".tar.gz") if there else []
    return sorted(archives, key=lambda path: natural_key(path.name))


def archive_number(archive: Path) -> str:
    """Return the N of N.tar.gz as text that can be written anywhere: a file's name may hold any bytes."""
    return as_text(archive.name).removesuffix(".tar.gz")


def sequence_names(folders: list[str]) -> list[str]:
    """Return a distinct name for each sequence folder of an archive.

    'N/fake/3' becomes '3', unless two folders of the archive end in the same name: then all keep their whole path.
    """
    names = [PurePosixPath(folder).name for folder in folders]
    return names if len(set(names)) == len(names) else folders


def _validation(archives: list[Path], method: str, notes: list[str]) -> set[str]:
    if len(archives) < 2:
        notes.append(
            f"There is no {method} validation video: {method}_train holds one archive, and archives are not split."
        )
        return set()
    names = cut_validation(
        [archive.name for archive in archives], share=VALIDATION_SHARE, seed=VALIDATION_SEED
    )
    notes.append(
        f"WildDeepfake has no validation set, so {len(names)} of {len(archives)} archives of {method}_train were "
        f"drawn for it (seed {VALIDATION_SEED})."
    )
    return names


def _archive_items(
    archive: Path, method: str, published_split: str, split: str, notes: list[str]
) -> list[VideoItem]:
    number = archive_number(archive)
    sequences = find_sequences(archive)
    _note_trouble(archive, method, sequences, notes)
    names = sequence_names([sequence.folder for sequence in sequences])
    return [
        VideoItem(
            video_id="-".join((published_split, number, "unreadable" if sequence.damage else name)),
            split=split,
            method=method,
            source=sequence,
            identity=f"{method}-{published_split}-{number}",
        )
        for name, sequence in zip(names, sequences, strict=True)
    ]


def _note_trouble(archive: Path, method: str, sequences: list[FaceSequenceSource], notes: list[str]) -> None:
    other = FAKE if method == REAL else REAL
    place = f"{archive.parent.name}/{archive_number(archive)}.tar.gz"
    notes += [f"{place} cannot be read: {sequence.damage}." for sequence in sequences if sequence.damage]
    odd = [sequence.folder for sequence in sequences if other in PurePosixPath(sequence.folder).parts]
    if odd:
        notes.append(
            f"{place}: {len(odd)} sequences are in a folder {other!r} but count as {method}: {odd[0]}."
        )
