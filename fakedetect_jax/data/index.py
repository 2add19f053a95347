"""What a built dataset holds, known without reading a frame."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from fakedetect_jax.data import schema
from fakedetect_jax.data.records import Records
from fakedetect_jax.errors import FakedetectError


@dataclasses.dataclass(frozen=True)
class Entry:
    """One record: where it stands in its split, and what it is (schema.describe)."""

    position: int
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
    frames: int


class DatasetNotBuilt(FakedetectError):
    """No built dataset where one was expected."""


def dataset_folder(data_dir: str | Path, dataset: str) -> Path:
    """Returns the folder of the newest built version of `dataset` (its name, or name/config).

    Raises:
      DatasetNotBuilt: there is none; the message has the command that builds it.
    """
    root = Path(data_dir) / dataset
    versions = [path.parent for path in root.glob("*/dataset_info.json")]
    if not versions:
        raise DatasetNotBuilt(
            f"no built dataset {dataset!r} in {str(data_dir)!r}; build it with "
            f"`fakedetect build {dataset} --out {data_dir}` or set config.data.folder"
        )
    return max(versions, key=lambda path: tuple(int(part) for part in path.name.split(".")))


def open_split(folder: Path, split: str) -> Sequence[Mapping[str, Any]]:
    """Returns random access to the records of a split.

    Raises:
      FakedetectError: the dataset has no such split.
    """
    builder = tfds.builder_from_directory(str(folder))
    if split not in builder.info.splits:
        raise FakedetectError(f"{folder}: no split {split!r}; there are {sorted(builder.info.splits)}")
    return Records(builder, split)


def load_index(folder: Path, split: str) -> list[Entry]:
    """Returns the entries of a split in stored order; read once from the records, then from a file beside them."""
    path = folder / f"index-{split}.json"
    if not path.exists():
        rows = [schema.describe(record) for record in open_split(folder, split)]
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        partial.write_text(json.dumps(rows))
        partial.replace(path)
    rows = json.loads(path.read_text())
    return [Entry(position=position, **row) for position, row in enumerate(rows)]
