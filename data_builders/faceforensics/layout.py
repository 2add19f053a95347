"""The videos of FaceForensics++ and DeepFakeDetection: where they are, and whose faces they show."""

from __future__ import annotations

import re
from pathlib import Path

from fakedetect_jax import files
from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.engine.file_names import as_text, find_files
from fakedetect_jax.data_builders.engine.source_files import require
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem
from fakedetect_jax.data_builders.faceforensics.official_splits import Pair, read_splits
from fakedetect_jax.data_builders.faceforensics.youtube import shared_notes, youtube_identity

COMPRESSIONS = ("c23", "c40", "raw")
METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
DFD = "DeepFakeDetection"
VARIANTS = (*COMPRESSIONS, *(f"dfd_{compression}" for compression in COMPRESSIONS))

PUBLISHED = {TRAIN: 720, VALIDATION: 140, TEST: 140}  # videos of each method, reals included
PUBLISHED_DFD = {(TEST, REAL): 363, (TEST, DFD): 3068}

_DFD_REAL = re.compile(r"([0-9]+)__\w+", re.ASCII)
_DFD_FAKE = re.compile(r"([0-9]+)_([0-9]+)__\w+__[0-9A-Z]{8}", re.ASCII)


def list_videos(source: Path, variant: str) -> Listing:
    """Return the videos of a compression ('c23') in their official splits, or of DeepFakeDetection ('dfd_c23').

    Args:
        source: The folder that holds original_sequences/ and manipulated_sequences/.
        variant: One of VARIANTS.

    Raises:
        SourceError: There are no real videos, or split files are missing or not as published.
    """
    dfd, _, compression = variant.rpartition("_")
    return _list_actors(source, compression) if dfd else _list_youtube(source, compression)


def parse_actor(stem: str) -> str | None:
    """Return who is seen in a real video of DeepFakeDetection, '<actor>__<scene>', or None for any other name."""
    match = _DFD_REAL.fullmatch(stem)
    return _actor(match[1]) if match else None


def parse_actors(stem: str) -> tuple[str, str] | None:
    """Return target and source of a DeepFakeDetection fake, '<target>_<source>__<scene>__<8 characters>', or None."""
    match = _DFD_FAKE.fullmatch(stem)
    return (_actor(match[1]), _actor(match[2])) if match else None


def _actor(number: str) -> str:
    # Other datasets number their people too; the prefix keeps actor 28 apart where datasets are joined.
    return f"actor-{number}"


def _list_youtube(source: Path, compression: str) -> Listing:
    splits = read_splits(source)
    reals = _real_folder(source, "youtube", "original", compression)
    methods, notes = _present(source, METHODS, compression)
    notes += shared_notes(
        {video: split for split, pairs in splits.items() for pair in pairs for video in pair}
    )
    items: list[VideoItem] = []
    for split, pairs in splits.items():
        items += [
            VideoItem(
                video,
                split,
                REAL,
                reals / f"{video}.mp4",
                identity=youtube_identity(video),
                compression=compression,
            )
            for pair in pairs
            for video in pair
        ]
    notes += _unlisted_note(REAL, reals, items)
    for method in methods:
        items += _fakes_of_pairs(source, method, compression, splits)
        notes += _mask_note(method, items) + _unlisted_note(
            method, _fakes(source, method, compression), items
        )
    published = {(split, method): count for split, count in PUBLISHED.items() for method in (REAL, *methods)}
    return Listing(items, notes, published)


def _fakes_of_pairs(
    source: Path, method: str, compression: str, splits: dict[str, list[Pair]]
) -> list[VideoItem]:
    """Return a method's fakes: of a pair (a, b), a_b shows a's video with b's face or expression, b_a the reverse."""
    masks = _mask_paths(source, method)
    return [
        VideoItem(
            f"{target}_{donor}",
            split,
            method,
            _fakes(source, method, compression) / f"{target}_{donor}.mp4",
            identity=youtube_identity(target),
            source_identity=youtube_identity(donor),
            compression=compression,
            mask=masks.get(f"{target}_{donor}"),
        )
        for split, pairs in splits.items()
        for first, second in pairs
        for target, donor in ((first, second), (second, first))
    ]


def _list_actors(source: Path, compression: str) -> Listing:
    reals = _real_folder(source, "actors", f"{DFD}_original", compression)
    methods, notes = _present(source, (DFD,), compression)
    notes.insert(0, f"{DFD} has no official split: all videos are in {TEST!r}, for tests across datasets")
    people = {stem: parse_actor(stem) for stem in sorted(_stems(reals))}
    items = [
        VideoItem(stem, TEST, REAL, reals / f"{stem}.mp4", identity=actor, compression=compression)
        for stem, actor in people.items()
        if actor
    ]
    strangers = [stem for stem, actor in people.items() if not actor]
    if methods:
        fakes, masks = _fakes(source, DFD, compression), _mask_paths(source, DFD)
        pairs = {stem: parse_actors(stem) for stem in sorted(_stems(fakes))}
        items += [
            VideoItem(stem, TEST, DFD, fakes / f"{stem}.mp4", *pair, compression, masks.get(stem))
            for stem, pair in pairs.items()
            if pair
        ]
        strangers += [stem for stem, pair in pairs.items() if not pair]
        notes += _mask_note(DFD, items)
    if strangers:
        notes.append(
            f"videos whose names do not fit {DFD}, not built: {len(strangers)}, e.g. {as_text(strangers[0])}.mp4"
        )
    published = {key: count for key, count in PUBLISHED_DFD.items() if key[1] in (REAL, *methods)}
    return Listing(items, notes, published)


def _real_folder(source: Path, kind: str, script_name: str, compression: str) -> Path:
    videos = source / "original_sequences" / kind / compression / "videos"
    there = sorted(path.parent.name for path in (source / "original_sequences" / kind).glob("*/videos"))
    other = f", or choose a compression that is there: {', '.join(there)}" if there else ""
    return require(
        videos,
        what=f"the folder of real videos ({kind}, {compression})",
        remedy=f"fetch it with the publisher's download script (-d {script_name} -c {compression} -t videos){other}",
    )


def _present(source: Path, methods: tuple[str, ...], compression: str) -> tuple[list[str], list[str]]:
    """Return the methods that are there, and a note on each that is not."""
    present = [method for method in methods if _fakes(source, method, compression).is_dir()]
    notes = [
        f"{method} is left out: there is no {_fakes(source, method, compression).relative_to(source)}"
        for method in methods
        if method not in present
    ]
    return present, notes


def _fakes(source: Path, method: str, compression: str) -> Path:
    return source / "manipulated_sequences" / method / compression / "videos"


def _mask_paths(source: Path, method: str) -> dict[str, Path]:
    folder = source / "manipulated_sequences" / method / "masks" / "videos"
    return {path.stem: path for path in find_files(folder)}


def _mask_note(method: str, items: list[VideoItem]) -> list[str]:
    masks = [item.mask for item in items if item.method == method]
    there = [mask for mask in masks if mask is not None]
    notes = []
    # The usual download has no masks, and FaceShifter never has any.
    if there and len(there) < len(masks):
        notes.append(f"{method}: {len(there)} of {len(masks)} videos have a mask")
    pointers = [mask for mask in there if files.is_lfs_pointer(mask)]
    if pointers:
        notes.append(f"{method}: {len(pointers)} masks: {files.explain_lfs_pointer(pointers[0])}")
    return notes


def _unlisted_note(method: str, folder: Path, items: list[VideoItem]) -> list[str]:
    extra = _stems(folder) - {item.video_id for item in items if item.method == method}
    if not extra:
        return []
    return [f"{method}: videos that no split names, not built: {len(extra)}, e.g. {as_text(min(extra))}.mp4"]


def _stems(folder: Path) -> set[str]:
    return {path.stem for path in find_files(folder)}
