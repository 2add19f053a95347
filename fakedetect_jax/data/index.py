"""What a built dataset holds, found without reading its records."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import re
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Float32, Int32
from safetensors import SafetensorError, safe_open

from fakedetect_jax.data import schema
from fakedetect_jax.data.records import REMEDY, DamagedDataset, Records
from fakedetect_jax.digests import ChangedFile, check_digests, write_digests
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction
from fakedetect_jax.files import write_tensors

REPORT = "build_report.json"
# What a build says of itself; the index and the shards have checks of their own.
_DESCRIPTIONS = ("dataset_info.json", "features.json", "metadata.json", REPORT)
# A dataset that cannot be written to, or a disk without room, can be read all the same, if slowly.
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EISDIR)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One face track: whose it is, and its records in the split, the `frames` ones from `first` on."""

    video_id: str
    dataset: str
    split: str
    method: str
    compression: str
    identity: str
    source_identity: str
    label: int
    main: bool
    track: int
    person: int
    first: int
    frames: int


class Index(NamedTuple):
    """The tracks of a split in stored order.

    Attributes:
        entries: One for each track.
        frame_index: Number of each record's frame in its video.
        timestamp: Seconds from the start of the video to each record's frame.
    """

    entries: list[Entry]
    frame_index: Int32[np.ndarray, " n"]
    timestamp: Float32[np.ndarray, " n"]


class DatasetNotBuilt(FakedetectError):
    """A dataset that is not built, or in another format; the message has the command that builds it."""


def dataset_folder(data_dir: str | Path, dataset: str) -> Path:
    """Return the folder of the newest built version of `dataset` (its name, or name/config).

    Raises:
        DatasetNotBuilt: There is none, or only one that another version of this package built.
        DamagedDataset: A file that describes the dataset was changed.
        FakedetectError: `data_dir` is the address of a bucket.
    """
    if "://" in str(data_dir):
        raise FakedetectError(
            f"config.data.folder={str(data_dir)!r}: built datasets are read from file systems, frame by frame and in "
            "random order; copy the folder to a local disk, e.g. with `gcloud storage cp --recursive`, or mount the "
            "bucket, e.g. with gcsfuse"
        )
    root = Path(data_dir).expanduser() / dataset
    versions = [path.parent for path in root.glob("*/dataset_info.json") if _number(path.parent)]
    if not versions:
        name, _, variant = dataset.partition("/")
        command = f"fakedetect build {name}" + (f" --variant {variant}" if variant else "")
        raise DatasetNotBuilt(
            f"no built dataset {dataset!r} in {str(data_dir)!r}; build it with "
            f"`{command} --out {data_dir}` or set config.data.folder"
        )
    folder = max(versions, key=_number)
    metadata = read_metadata(folder)
    if metadata.get("format") != schema.FORMAT:
        raise DatasetNotBuilt(
            f"{folder} was built by another version of fakedetect_jax, in a format that this one does not read; "
            f"build it again with `{_command(dataset, metadata)} --out {data_dir}`, then delete this folder"
        )
    try:
        check_digests(folder, required=_DESCRIPTIONS)
    except ChangedFile as error:
        raise DamagedDataset(f"{folder}: {error}; {REMEDY}") from error
    return folder


def write_description_digests(folder: Path) -> None:
    """Write the digests of the files that describe a dataset, by which a changed one is found."""
    write_digests(folder, {name: folder / name for name in _DESCRIPTIONS})


def read_metadata(folder: Path) -> dict[str, Any]:
    """Return what the build recorded about itself: `format`, `variant` and `extraction`.

    Raises:
        DamagedDataset: The file is missing or not what a build writes.
    """
    path = folder / "metadata.json"
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        if metadata.get("format") == schema.FORMAT:
            Extraction.parse(metadata["extraction"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedDataset(f"{path} cannot be read ({error}); {REMEDY}") from error
    return metadata


def read_report(folder: Path) -> dict[str, Any]:
    """Return the report of a build: a `summary` row per split and method, and a row for each of `videos`.

    Raises:
        DamagedDataset: The file is missing or not what a build writes.
    """
    path = folder / REPORT
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        return {name: list(report[name]) for name in ("summary", "videos")}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedDataset(f"{path} cannot be read ({error}); {REMEDY}") from error


def read_extraction(folder: Path) -> Extraction:
    """Return how the face crops of a built dataset were made."""
    return Extraction.parse(read_metadata(folder)["extraction"])


def open_split(folder: Path, split: str) -> Records:
    """Return random access to the records of a split.

    Raises:
        FakedetectError: The dataset has no such split.
        DamagedDataset: A file of the build is damaged.
    """
    return Records(_builder(folder, split), split)


def load_index(folder: Path, split: str) -> Index:
    """Return the index of a split, from the file that the build wrote beside the records.

    If that file is missing, damaged, or belongs to other records, it is rebuilt in one pass over the records.

    Raises:
        DamagedDataset: The records cannot be read, or are of another split.
    """
    info = _builder(folder, split).info.splits[split]
    records = _identify(folder, info)
    path = index_path(folder, split)
    try:
        return _read(path, records)
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        indexer = Indexer()
        for record in open_split(folder, split):
            indexer.add(record)
        index = indexer.index()
        if others := {entry.split for entry in index.entries} - {split}:
            raise DamagedDataset(
                f"{folder}: the files of split {split!r} hold records of {', '.join(map(ascii, sorted(others)))}, as "
                f"if files were exchanged; {REMEDY}"
            ) from None
        _write_if_allowed(path, index, records)
        return index


def index_path(folder: Path, split: str) -> Path:
    """Return where the index of a split lies."""
    return folder / f"index-{split}.safetensors"


class Indexer:
    """Builds an index from records in stored order, as a build writes them or a reader returns them."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._frame_index = array("i")
        self._timestamp = array("f")

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the next record, which continues the last track or begins another."""
        position = len(self._frame_index)
        self._frame_index.append(int(record["frame_index"]))
        self._timestamp.append(float(record["timestamp"]))
        if offset := int(record["offset"]):
            last = self._entries[-1]
            self._entries[-1] = dataclasses.replace(last, frames=offset + 1)
            return
        text = {name: _text(record[name]) for name in schema.TEXT_FIELDS}
        numbers = {name: int(record[name]) for name in ("label", "track", "person")}
        self._entries.append(Entry(**text, **numbers, main=bool(record["main"]), first=position, frames=1))

    def index(self) -> Index:
        """Return the index of the records so far."""
        return Index(self._entries, np.array(self._frame_index), np.array(self._timestamp))


def write_index(folder: Path, split: str, index: Index, info: tfds.core.SplitInfo) -> None:
    """Write the index of a split whose shards lie in `folder`."""
    _write(index_path(folder, split), index, _identify(folder, info))


def _builder(folder: Path, split: str) -> tfds.core.DatasetBuilder:
    try:
        builder = tfds.builder_from_directory(str(folder))
    except Exception as error:  # TFDS passes on all that protobuf and json raise
        raise DamagedDataset(
            f"{folder}: not a built dataset, or a damaged one ({str(error)[:200]}); {REMEDY}"
        ) from error
    if split not in builder.info.splits:
        raise FakedetectError(f"{folder}: no split {split!r}; there are {sorted(builder.info.splits)}")
    return builder


def _identify(folder: Path, info: tfds.core.SplitInfo) -> dict[str, Any]:
    """Return what tells the shards of a split from others, without reading them.

    Raises:
        DamagedDataset: A shard is missing.
    """
    sizes = {}
    for name in info.filenames:
        try:
            sizes[name] = (folder / name).stat().st_size
        except FileNotFoundError:
            raise DamagedDataset(f"{folder / name} is missing; {REMEDY}") from None
    return {"records": info.num_examples, "bytes": info.num_bytes, "shards": sizes}


def _read(path: Path, records: dict[str, Any]) -> Index:
    with safe_open(path, framework="numpy") as file:
        head = file.metadata()
        arrays = {name: file.get_tensor(name) for name in ("frame_index", "timestamp")}
    if head["sha256"] != _digest(arrays, head["entries"], head["of"]):
        raise ValueError(f"{path} was changed")
    if json.loads(head["of"]) != records:
        raise ValueError(f"{path} belongs to other records")
    entries = [Entry(**row) for row in json.loads(head["entries"])]
    if sum(entry.frames for entry in entries) != records["records"]:
        raise ValueError(f"{path} counts other frames than there are records")
    return Index(entries, **arrays)


def _write_if_allowed(path: Path, index: Index, records: dict[str, Any]) -> None:
    try:
        _write(path, index, records)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise


def _write(path: Path, index: Index, records: dict[str, Any]) -> None:
    entries = json.dumps([dataclasses.asdict(entry) for entry in index.entries])
    arrays = {"frame_index": index.frame_index, "timestamp": index.timestamp}
    of = json.dumps(records)
    write_tensors(path, arrays, {"entries": entries, "of": of, "sha256": _digest(arrays, entries, of)})


def _digest(arrays: Mapping[str, np.ndarray], *texts: str) -> str:
    digest = hashlib.sha256()
    for values in arrays.values():
        digest.update(f"{values.dtype}{values.shape}".encode() + values.tobytes())
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()


def _command(dataset: str, metadata: dict[str, Any]) -> str:
    """Return the command that built a dataset, with those of its options that can be read."""
    given = metadata.get("variant")
    variant = f"--variant {given}" if isinstance(given, str) and given.isidentifier() else ""
    try:
        # A build that knew fewer options was made with the defaults of the others.
        flags = Extraction.parse(dataclasses.asdict(Extraction()) | metadata.get("extraction", {})).flags
    except (FakedetectError, TypeError):
        flags = ""
    return " ".join(["fakedetect build", dataset.partition("/")[0], *filter(None, [variant, flags])])


def _number(folder: Path) -> Sequence[int]:
    """Return (1, 0, 0) for the folder of a version, () for any other."""
    return tuple(map(int, folder.name.split("."))) if re.fullmatch(r"\d+\.\d+\.\d+", folder.name) else ()


def _text(value: bytes | str) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value
