"""Builds a dataset by name, checks its splits, and says what came out."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from data_builders.base import REPORT, FaceSequenceBuilder
from fakedetect_jax.data.index import check_disjoint, load_index


def names() -> list[str]:
    """Returns the datasets that have a builder here."""
    root = Path(__file__).parent
    return sorted(path.parent.name for path in root.glob("*/*_dataset_builder.py"))


def create_builder(name: str, data_dir: str | Path) -> FaceSequenceBuilder:
    """Returns the builder of a dataset.

    Raises:
      ValueError: no such dataset; the message lists the known ones.
    """
    if name not in names():
        raise ValueError(f"unknown dataset {name!r}; there are {names()}")
    module = importlib.import_module(f"data_builders.{name}.{name}_dataset_builder")
    return module.Builder(data_dir=str(data_dir), file_format="array_record")


def build(name: str, data_dir: str | Path, *, workers: int) -> tuple[Path, dict[str, Any]]:
    """Builds a dataset unless it is there already, and checks that its splits share no identity.

    Returns:
      The folder of the built version, and its build report: a `summary` row per split and method, and a row
      for each of `videos` with the reason if it failed.
    """
    tfds.disable_progress_bar()  # the builder has its own, a line a split
    builder = create_builder(name, data_dir)
    builder.workers = workers
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False), file_format="array_record"
    )
    folder = Path(builder.data_dir)
    check_disjoint([entry for split in builder.info.splits for entry in load_index(folder, split)])
    return folder, json.loads((folder / REPORT).read_text())
