"""The TFDS builder that every dataset extends: videos in, records of face tracks out, all accounted for."""

from __future__ import annotations

import abc
import collections
import dataclasses
import functools
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from etils import epath

from fakedetect_jax.data import schema
from fakedetect_jax.data.index import REPORT, Indexer, write_index
from fakedetect_jax.data_builders.engine.execution import Materialise
from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.listing import Listing, SourceError, VideoItem
from fakedetect_jax.data_builders.engine.report import summarise
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction

# Of a shard, about: some 200 MB.
SHARD_FRAMES = 10_000

Shard = Callable[[], Iterator[tuple[int, dict[str, Any]]]]


def video_path(item: VideoItem, folder: Path) -> Path:
    """Returns the file of a video that already lies on disk; `folder` is for builders that must make it."""
    del folder
    return Path(item.source)


class FaceSequenceBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """Turns the videos of a dataset into sharded records of face tracks (schema.features).

    A dataset's builder says which videos there are (`listing`) and, if they are not files yet, how one is made
    (`materialise`). `engine.build` extracts their faces into a journal; TFDS then writes the records from there, in the
    order of the listing: to sort or shuffle more than a gigabyte, it would need TensorFlow. What failed is listed with
    its reason in build_report.json beside the records.

    Attributes:
      VARIANTS: what the dataset comes in, the default first; empty if there is one only.
      SOURCE_HINT: what folder the user must name, and where its publisher keeps it; '' if none is needed.
      SHARED_IDENTITIES: pairs of splits in which the publisher's own lists share people.
    """

    VARIANTS: ClassVar[tuple[str, ...]] = ()
    SOURCE_HINT: ClassVar[str] = ""
    SHARED_IDENTITIES: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    materialise: Materialise = staticmethod(video_path)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # TFDS looks for the README where the package would be installed, which in a clone is another place.
        cls.pkg_dir_path = epath.Path(inspect.getfile(cls)).parent

    def __init__(
        self,
        *,
        data_dir: str | Path,
        source: str | Path | None = None,
        variant: str = "",
        extraction: Extraction = Extraction(),  # noqa: B008 (frozen)
    ) -> None:
        known = self.VARIANTS or ("",)
        if variant and variant not in known:
            raise FakedetectError(f"{self.name}: no variant {variant!r}; there are {list(self.VARIANTS)}")
        self.variant = variant or known[0]
        self.extraction = extraction
        self._source = source
        # The folder's name tells variant and options apart; a dataset of one kind needs none.
        name = "-".join(part for part in (self.variant, extraction.name) if part)
        config = tfds.core.BuilderConfig(name=name) if name else None
        super().__init__(data_dir=str(data_dir), config=config, file_format="array_record")

    @property
    def source(self) -> Path:
        """The folder of the download.

        Raises:
          SourceError: none was given, or there is nothing.
        """
        if self._source is None:
            raise SourceError(f"{self.name}: give --source DIR. {self.SOURCE_HINT}")
        path = Path(self._source)
        if not path.exists():
            raise SourceError(f"{self.name}: --source {path}: no such folder. {self.SOURCE_HINT}")
        return path

    @abc.abstractmethod
    def listing(self) -> Listing:
        """Returns every video of every split, in a fixed order, without opening any."""

    def prepare(self, items: list[VideoItem], journal: Journal) -> None:
        """Writes the records from a journal in which all `items` are done."""
        self._items, self._journal = items, journal
        self.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
            file_format="array_record",
        )

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=schema.features(),
            metadata=self._metadata(),
            disable_shuffling=True,
        )

    def _metadata(self) -> tfds.core.MetadataDict:
        options = dataclasses.asdict(self.extraction)
        return tfds.core.MetadataDict(
            {"format": schema.FORMAT, "variant": self.variant, "extraction": options}
        )

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager) -> dict[str, list[Shard]]:
        del dl_manager
        splits: dict[str, list[VideoItem]] = collections.defaultdict(list)
        for item in self._items:
            # A split of which no video gave a face has no records, and TFDS no way to store none.
            if self._journal.outcome(item)["tracks"]:
                splits[item.split].append(item)
        self._indexers = {split: Indexer() for split in splits}
        return {
            split: [functools.partial(self._shard, split, members) for members in self._shards(items)]
            for split, items in splits.items()
        }

    def _shards(self, items: list[VideoItem]) -> Iterator[list[VideoItem]]:
        """Parts of a split of about `SHARD_FRAMES` frames, each of whole videos."""
        members, frames = [], 0
        for item in items:
            members.append(item)
            frames += self._journal.outcome(item)["frames"]
            if frames >= SHARD_FRAMES:
                yield members
                members, frames = [], 0
        if members:
            yield members

    def _shard(self, split: str, items: list[VideoItem]) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, record in enumerate(self._records(items)):
            self._indexers[split].add(record)
            yield number, record

    def _records(self, items: list[VideoItem]) -> Iterator[dict[str, Any]]:
        for item in items:
            main = self._journal.outcome(item)["main"]
            for offset, part in self._journal.parts(item):
                yield from schema.to_records(
                    part,
                    video_id=item.video_id,
                    dataset=self.name,
                    split=item.split,
                    method=item.method,
                    label=item.label,
                    main=part.person == main,
                    compression=item.compression,
                    identity=item.identity,
                    source_identity=item.source_identity,
                    offset=offset,
                )

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        super()._download_and_prepare(dl_manager=dl_manager, download_config=download_config)
        for split, indexer in self._indexers.items():
            info = self.info.splits[split]
            write_index(
                Path(self.data_dir), split, indexer.index(), records=info.num_examples, size=info.num_bytes
            )
        videos = [account(item, self._journal.outcome(item)) for item in self._items]
        # Still inside TFDS's temporary folder: the records and their account appear together or not at all.
        report = {"summary": summarise(videos), "videos": videos}
        (Path(self.data_dir) / REPORT).write_text(json.dumps(report, indent=1))


def account(item: VideoItem, outcome: dict[str, Any]) -> dict[str, Any]:
    """What the build report says of one video."""
    about = {
        "video_id": item.video_id,
        "split": item.split,
        "method": item.method,
        "label": item.label,
        "identity": item.identity,
        "source_identity": item.source_identity,
        "mask": str(item.mask or ""),
    }
    return about | outcome
