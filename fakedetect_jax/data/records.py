"""Random access to the records of a split, with each field parsed when it is read.

TFDS would parse whole records, while a clip needs two fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from fakedetect_jax.data import schema
from fakedetect_jax.errors import FakedetectError


class DamagedDataset(FakedetectError):
    """A part of a built dataset that cannot be read; the message says which, and how to renew it."""


class Record(Mapping[str, Any]):
    """A stored record by field name: text and files as bytes, numbers as NumPy values; `size` is its bytes on disk."""

    def __init__(self, data: bytes, features: tfds.features.FeaturesDict) -> None:
        self.size = len(data)
        self._values = tf_example_pb2.Example.FromString(data).features.feature  # pyright: ignore[reportAttributeAccessIssue]
        self._features = features

    def __getitem__(self, name: str) -> Any:
        feature = self._features[name]
        stored = self._values[name]
        if isinstance(feature, tfds.features.Text):
            return stored.bytes_list.value[0]
        shape: Any = feature.shape
        if stored.bytes_list.value:
            return np.frombuffer(stored.bytes_list.value[0], feature.np_dtype).reshape(shape)
        numbers = stored.float_list.value or stored.int64_list.value
        return np.array(numbers, feature.np_dtype).reshape(shape)[()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features.keys())

    def __len__(self) -> int:
        return len(self._features)


class Records(Sequence):
    """The records of a split in stored order.

    Raises:
        DamagedDataset: When a record is read whose file is cut short, changed, or gone.
    """

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str) -> None:
        method = tfds.decode.DeserializeMethod.RAW_BYTES
        self._source: Any = builder.as_data_source(split=split, deserialize_method=method)
        self._features = schema.features()
        self._name = f"{builder.data_dir}, split {split!r}"

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, position: Any) -> Any:
        if not 0 <= position < len(self):
            raise IndexError(position)
        try:
            data = self._source[position]
            if not data:  # a file that is cut short while it is open
                raise ValueError("it is empty")
            return Record(data, self._features)
        except (
            RuntimeError,
            OSError,
            ValueError,
            DecodeError,
        ) as error:  # ArrayRecord has no errors of its own
            raise DamagedDataset(
                f"{self._name}: record {position} of {len(self)} cannot be read ({str(error)[:200]}); "
                "delete the folder and build the dataset again"
            ) from error
