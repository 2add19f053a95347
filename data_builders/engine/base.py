"""The TFDS builder that every dataset extends: videos in, records of face tracks out, and every video accounted for."""

from __future__ import annotations

import abc
import collections
import dataclasses
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core.writer import ExampleWriter
from tensorflow_datasets.proto import tf_example_pb2

from fakedetect_jax.data import schema
from fakedetect_jax.data.index import Indexer, write_index
from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.one_video import Materialise
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction

# A shard has about this many frames, which is some 200 MB.
SHARD_FRAMES = 10_000

# The options that `Extraction.name` writes into the name of a built dataset.
_OPTIONS = "(spread|every|size|margin|quality|detect_every|[0-9]+x)[0-9]"

Shard = Callable[[], Iterator[tuple[int, dict[str, Any]]]]


def video_path(item: VideoItem, folder: Path) -> Path:
    """Return the path of a video that is already on disk; `folder` is for builders that must make it."""
    del folder
    return Path(item.source)


class FaceSequenceBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):
    """Turns the videos of a dataset into sharded records of face tracks (`schema.features`).

    A dataset's builder says which videos there are (`listing`) and, if they are not files yet, how to make one
    (`materialise`). `engine.build` extracts their faces into a journal, and TFDS writes the records from there in the
    order of the listing: to sort or shuffle more than a gigabyte, it would need TensorFlow.

    Attributes:
        VARIANTS: The names of the dataset's variants, the default first; empty if there is only one.
        SOURCE_HINT: Which folder the user must name and where its publisher keeps it; '' if none is needed.
        LINKED: Folders in the download that SOURCE_HINT tells the user to link to elsewhere.
        SHARED_IDENTITIES: Pairs of splits in which the publisher's own lists share people.
        materialise: Takes an item and an empty folder of its own, and returns the video's file or folder of frames.
    """

    # A dataset overrides these two if its own records change.
    VERSION = tfds.core.Version("3.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        "2.0.0": "Records of one frame; people followed across cuts.",
        "3.0.0": "Crops are smoothed over time, alike at any number of frames a second.",
    }
    VARIANTS: ClassVar[tuple[str, ...]] = ()
    SOURCE_HINT: ClassVar[str] = ""
    LINKED: ClassVar[tuple[str, ...]] = ()
    SHARED_IDENTITIES: ClassVar[frozenset[tuple[str, str]]] = frozenset()
    materialise: Materialise = staticmethod(video_path)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # TFDS looks for the README where the package would be installed, and a clone keeps it elsewhere.
        cls.pkg_dir_path = epath.Path(inspect.getfile(cls)).parent

    def __init__(
        self,
        *,
        data_dir: str | Path,
        source: str | Path | None = None,
        variant: str = "",
        extraction: Extraction = Extraction(),  # noqa: B008 (frozen)
    ) -> None:
        _check_variant(self.name, variant, self.VARIANTS)
        if is_url(data_dir):
            raise FakedetectError(
                f"--out {data_dir}: a build needs a local folder for its lock and its finished videos; build there and "
                f"copy the folder, e.g. `gcloud storage cp -r FOLDER {data_dir}`"
            )
        self.variant = variant or next(iter(self.VARIANTS), "")
        self.extraction = extraction
        self._source = source
        # The folder's name tells variants and options apart; a dataset of one kind needs none.
        name = "-".join(part for part in (self.variant, extraction.name) if part)
        config = tfds.core.BuilderConfig(name=name) if name else None
        super().__init__(data_dir=str(data_dir), config=config, file_format="array_record")

    @property
    def has_source(self) -> bool:
        """Whether the listing can be made: a source is given, or none is needed."""
        return self._source is not None or not self.SOURCE_HINT

    def staged(self, data_dir: Path) -> FaceSequenceBuilder:
        """Return a builder of the same dataset for another folder of built datasets: TFDS replaces no built version."""
        twin = type(self).__new__(type(self))
        # A dataset may have attributes of its own.
        vars(twin).update(vars(self))
        FaceSequenceBuilder.__init__(
            twin,
            data_dir=data_dir,
            source=self._source,
            variant=self.variant,
            extraction=self.extraction,
        )
        return twin

    @property
    def source(self) -> Path:
        """The folder of the download, as an absolute path.

        Raises:
            SourceError: None was given, it does not exist, or it is in a bucket.
        """
        if self._source is None:
            raise SourceError(f"{self.name}: give --source DIR: {self.SOURCE_HINT}")
        if is_url(self._source):
            raise SourceError(
                f"{self.name}: --source {self._source}: FFmpeg cannot read videos from a bucket; copy them to a local "
                f"disk, e.g. `gcloud storage cp -r {self._source} FOLDER`, or mount the bucket, e.g. with gcsfuse"
            )
        path = Path(self._source).absolute()
        if not path.exists():
            raise SourceError(f"{self.name}: --source {path}: no such folder; give {self.SOURCE_HINT}")
        if not path.is_dir():
            raise SourceError(
                f"{self.name}: --source {path}: is a file, not a folder; give {self.SOURCE_HINT}"
            )
        return path

    @abc.abstractmethod
    def listing(self) -> Listing:
        """Return every video of every split, in a fixed order, without opening any."""

    def prepare(self, items: list[VideoItem], journal: Journal) -> None:
        """Write the records from a journal in which all `items` are done."""
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
            # TFDS cannot store a split without records, so a split without any face is left out.
            if self._journal.outcome(item)["tracks"]:
                splits[item.split].append(item)
        self._indexers = {split: Indexer() for split in splits}
        return {
            split: [functools.partial(self._shard, split, members) for members in self._shards(items)]
            for split, items in splits.items()
        }

    def _shards(self, items: list[VideoItem]) -> Iterator[list[VideoItem]]:
        """Cut a split into parts of whole videos, each of about `SHARD_FRAMES` frames."""
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
            # This is still TFDS's temporary folder: index and records appear together.
            write_index(Path(self.data_dir), split, indexer.index(), self.info.splits[split])

    def _example_writer(self) -> ExampleWriter:
        return _SortedFields(self.info.file_format)


class _SortedFields(ExampleWriter):
    """Writes the fields of a record sorted by name: TFDS leaves their order to chance, and builds would differ."""

    def write(self, path: Any, examples: Iterable[tuple[Any, bytes]]) -> Any:
        parse = tf_example_pb2.Example.FromString  # pyright: ignore[reportAttributeAccessIssue]
        return super().write(
            path, ((key, parse(data).SerializeToString(deterministic=True)) for key, data in examples)
        )


def is_url(path: str | Path) -> bool:
    """Return whether a path names a place in a bucket or on a server, such as 'gs://bucket/folder'."""
    # pathlib makes one slash of two. A single letter is a drive on Windows.
    return re.match("[A-Za-z][A-Za-z0-9+.-]+:/", str(path)) is not None


def _check_variant(name: str, variant: str, known: tuple[str, ...]) -> None:
    if not variant or variant in known:
        return
    # A built dataset's folder is named after its variant and its options, and people copy that name.
    given = next((one for one in known if variant.startswith(f"{one}-")), "")
    options = variant.removeprefix(f"{given}-")
    if (given or not known) and re.match(_OPTIONS, options):
        raise FakedetectError(
            f"{name}: {options!r} is not a variant but names options (--every, --count, --size, --margin, --quality, "
            f"--detect-every); give them as options of `fakedetect build {'/'.join(filter(None, (name, given)))}`"
        )
    what = f"there are {list(known)}" if known else "it has none"
    raise FakedetectError(f"{name}: no variant {variant!r}; {what}")
