"""Random access to the records of a split, with each field parsed when it is read.

TFDS would parse whole records, while a clip needs two fields.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from fakedetect_jax.data import schema
from fakedetect_jax.errors import FakedetectError

REMEDY = "copy it again from where it is whole, or delete the folder and build the dataset again"


class DamagedDataset(FakedetectError):
    """A part of a built dataset that cannot be read; the message says which, and how to renew it."""


class Record(Mapping[str, Any]):
    """A stored record by field name: text and files as bytes, numbers as NumPy values; `size` is its bytes on disk.

    Raises:
        DamagedDataset: When a field is read that is missing, or of another kind or shape.
    """

    def __init__(self, data: bytes, features: tfds.features.FeaturesDict, name: str) -> None:
        self.size = len(data)
        self._values = tf_example_pb2.Example.FromString(data).features.feature  # pyright: ignore[reportAttributeAccessIssue]
        self._features = features
        self._name = name

    def __getitem__(self, name: str) -> Any:
        feature = self._features[name]
        try:
            return _parse(feature, self._values[name])
        except (IndexError, ValueError, TypeError) as error:
            raise DamagedDataset(
                f"{self._name}: field {name!r} cannot be read ({error}); {REMEDY}"
            ) from error

    def holds(self, name: str, value: bytes | int) -> bool:
        """Return whether a text, or a whole number, is `value`; this is many times quicker than reading it."""
        stored = self._values[name]
        return (stored.bytes_list.value if isinstance(value, bytes) else stored.int64_list.value) == [value]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features.keys())

    def __len__(self) -> int:
        return len(self._features)


class Records(Sequence):
    """The records of a split in stored order.

    Raises:
        DamagedDataset: When a record is read whose file is cut short, changed, or gone; names the file.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str) -> None:
        method = tfds.decode.DeserializeMethod.RAW_BYTES
        self._source: Any = builder.as_data_source(split=split, deserialize_method=method)
        self._features = schema.features()
        info = builder.info.splits[split]
        self._folder, self._files = builder.data_dir, list(info.filenames)
        self._ends = list(itertools.accumulate(info.shard_lengths))

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, position: Any) -> Any:
        if not 0 <= position < len(self):
            raise IndexError(position)
        try:
            data = self._source[position]
            if not data:  # a file that is cut short while it is open
                raise ValueError("it is empty")
            return Record(data, self._features, self._name(position))
        # ArrayRecord has no errors of its own.
        except (RuntimeError, OSError, ValueError, DecodeError) as error:
            why = str(error)[:200]
            raise DamagedDataset(f"{self._name(position)} cannot be read ({why}); {REMEDY}") from error

    def _name(self, position: int) -> str:
        shard = bisect.bisect_right(self._ends, position)
        place = position - (self._ends[shard - 1] if shard else 0)
        return f"{self._folder}/{self._files[shard]}: record {place}"


def _parse(feature: Any, stored: Any) -> Any:
    if isinstance(feature, tfds.features.Text):
        return stored.bytes_list.value[0]
    shape: Any = feature.shape
    if stored.bytes_list.value:
        return np.frombuffer(stored.bytes_list.value[0], feature.np_dtype).reshape(shape)
    numbers = stored.float_list.value or stored.int64_list.value
    return np.array(numbers, feature.np_dtype).reshape(shape)[()]
