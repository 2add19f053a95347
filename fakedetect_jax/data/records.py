"""Random access to the records of a split, each field parsed when it is asked for.

TFDS parses whole records, of which a clip needs a few frames: that took as long as decoding them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from fakedetect_jax.data import schema


class Record(Mapping[str, Any]):
    """A stored record by field name: text as bytes, numbers as numpy values, `frames` as a sequence of bytes."""

    def __init__(self, data: bytes, features: tfds.features.FeaturesDict) -> None:
        self._values = tf_example_pb2.Example.FromString(data).features.feature  # pyright: ignore[reportAttributeAccessIssue]
        self._features = features

    def __getitem__(self, name: str) -> Any:
        feature = self._features[name]
        if name == schema.FRAMES:
            return self._values[name].bytes_list.value
        stored = self._values[name]
        if isinstance(feature, tfds.features.Text):
            return stored.bytes_list.value[0]
        numbers = stored.float_list.value or stored.int64_list.value
        sides: Any = feature.shape
        shape = [-1 if side is None else side for side in sides]
        return np.array(numbers, feature.np_dtype).reshape(shape)[()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features.keys())

    def __len__(self) -> int:
        return len(self._features)


class Records(Sequence[Record]):
    """The records of a split, in stored order."""

    def __init__(self, builder: tfds.core.DatasetBuilder, split: str) -> None:
        method = tfds.decode.DeserializeMethod.RAW_BYTES
        self._source: Any = builder.as_data_source(split=split, deserialize_method=method)
        self._features = schema.features()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, position: Any) -> Any:
        if not 0 <= position < len(self):
            raise IndexError(position)
        return Record(self._source[position], self._features)
