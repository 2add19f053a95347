"""Tracks -> batches of clips, by grain: shuffled by seed, sharded by process, resumable at any step.

Every batch is a pure function of (seed, step). The place in the stream is therefore one number, the step, and a
run resumes exactly whatever the number of threads or worker processes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import grain
import numpy as np

from fakedetect_jax.data.sampling import spread_frames, train_frames
from fakedetect_jax.data.tracks import Tracks
from fakedetect_jax.errors import FakedetectError

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Loading:
    """How batches are made ready: by `threads` of this process, or by `workers` processes (0 = none)."""

    threads: int = 2
    workers: int = 0
    prefetch: int = 2


@dataclasses.dataclass(frozen=True)
class Shard:
    """This process's share of every batch: the `index`-th of `count` equal runs of rows."""

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> int:
        """Rows of a batch of `batch_size` that fall to each process.

        Raises:
          FakedetectError: they do not divide.
        """
        if batch_size % self.count:
            raise FakedetectError(
                f"batch_size={batch_size} does not divide by the {self.count} processes; use a multiple"
            )
        return batch_size // self.count

    def place(self, row: int, batch_size: int) -> int:
        """Place in the global stream of this process's `row`-th example."""
        rows = self.rows(batch_size)
        return (row // rows) * batch_size + self.index * rows + row % rows


def train_batches(
    tracks: Tracks,
    *,
    batch_size: int,
    steps: int,
    start: int = 0,
    frames: int,
    stride: int,
    seed: int,
    shard: Shard = Shard(),  # noqa: B008 (frozen)
    loading: Loading = Loading(),  # noqa: B008 (frozen)
) -> grain.DatasetIterator[Batch]:
    """Yields the batches of steps `start` ... `steps` - 1: random clips of shuffled tracks, epoch after epoch.

    Args:
      batch_size: examples a step over all processes.

    Returns:
      An iterator of `frames` uint8 [b, T, S, S, 3], `landmarks` float32 [b, T, 81, 2], `timestamps`
      float32 [b, T], `valid` bool [b, T], `label` int32 [b], `weight` float32 [b], `identity` and `method`
      int32 [b], with b = batch_size / shard.count.
    """
    order = grain.MapDataset.range(len(tracks)).seed(seed).shuffle().repeat()

    def example(row: int) -> Batch:
        place = shard.place(row, batch_size)
        rng = np.random.default_rng((seed, place))
        track = int(order[place])
        return tracks.clip(
            track, *train_frames(rng, tracks.entries[track].frames, frames=frames, stride=stride)
        )

    return _iterate(example, shard.rows(batch_size), start, steps, loading)


def evaluation_batches(
    tracks: Tracks,
    *,
    batch_size: int,
    frames: int,
    clips: int = 1,
    spacing: int = 0,
    shard: Shard = Shard(),  # noqa: B008 (frozen)
    loading: Loading = Loading(),  # noqa: B008 (frozen)
) -> grain.DatasetIterator[Batch]:
    """Yields every track once, as `clips` clips of `spread_frames`, in stored order.

    The last batch is padded by copies of weight 0, so that every process sees as many batches as the others.

    Returns:
      An iterator of batches like those of `train_batches`, and `place` int32 [b]: track * clips + clip,
      -1 for padding.
    """
    total = len(tracks) * clips

    def example(row: int) -> Batch:
        place = shard.place(row, batch_size)
        track, clip = divmod(min(place, total - 1), clips)
        length = tracks.entries[track].frames
        chosen = spread_frames(length, frames=frames, clip=clip, clips=clips, spacing=spacing)
        out = tracks.clip(track, *chosen)
        out["weight"] = np.asarray(place < total, np.float32)
        out["place"] = np.asarray(place if place < total else -1, np.int32)
        return out

    return _iterate(example, shard.rows(batch_size), 0, -(-total // batch_size), loading)


def _iterate(
    example: Callable[[int], Batch], rows: int, start: int, steps: int, loading: Loading
) -> grain.DatasetIterator[Batch]:
    # Batched before anything is handed to worker processes: their number must not change the batches.
    batches = grain.MapDataset.range(rows * start, rows * steps).map(example).batch(rows)
    threads = grain.ReadOptions(num_threads=loading.threads, prefetch_buffer_size=loading.prefetch)
    stream = batches.to_iter_dataset(threads)
    if loading.workers:
        stream = stream.mp_prefetch(grain.MultiprocessingOptions(num_workers=loading.workers))
    return iter(stream)
