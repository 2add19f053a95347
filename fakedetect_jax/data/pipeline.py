"""Videos -> batches of clips: shuffled by seed, sharded by process, made ready by grain, resumable at any step.

Every batch is a pure function of (seed, step). The place in the stream is therefore one number, the step, and a
run resumes exactly whatever the number of threads or worker processes.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import grain
import numpy as np
from jaxtyping import Int

from fakedetect_jax.data.clips import Clip, ClipSpec, choose_clips
from fakedetect_jax.data.videos import Batch, Videos
from fakedetect_jax.data.workers import in_workers
from fakedetect_jax.errors import FakedetectError


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

    def places(self, batch: int, batch_size: int) -> range:
        """Places in the global stream of this process's rows of the `batch`-th batch."""
        rows = self.rows(batch_size)
        first = batch * batch_size + self.index * rows
        return range(first, first + rows)


def train_batches(
    videos: Videos,
    spec: ClipSpec,
    *,
    batch_size: int,
    steps: int,
    start: int = 0,
    seed: int,
    shard: Shard = Shard(),  # noqa: B008 (frozen)
    loading: Loading = Loading(),  # noqa: B008 (frozen)
) -> grain.DatasetIterator[Batch]:
    """Yields the batches of steps `start` ... `steps` - 1: random clips of shuffled videos, epoch after epoch.

    Args:
      batch_size: clips a step over all processes.

    Returns:
      An iterator of batches as `Videos.load` returns them, of B = batch_size / shard.count clips.
    """

    def draw(place: int) -> tuple[int, Clip]:
        epoch, row = divmod(place, len(videos))
        video = int(_shuffled(len(videos), seed, epoch)[row])
        rng = np.random.default_rng((seed, place))
        (clip,) = choose_clips(videos.videos[video].times, spec, rng=rng)
        return video, clip

    def batch(step: int) -> Batch:
        return videos.load([draw(place) for place in shard.places(step, batch_size)])

    return _iterate(batch, start, steps, loading)


@functools.lru_cache(maxsize=8)
def _shuffled(count: int, seed: int, epoch: int) -> Int[np.ndarray, " n"]:
    """0 ... `count` - 1 in the order of an epoch; for one place, grain's `shuffle` takes longer than the decoding."""
    return np.random.default_rng((seed, epoch, 1)).permutation(count)


def evaluation_clips(videos: Videos, spec: ClipSpec) -> list[tuple[int, Clip]]:
    """Returns all clips of every video, in stored order: (the video's number, its clip)."""
    return [
        (number, clip)
        for number, video in enumerate(videos.videos)
        for clip in choose_clips(video.times, spec)
    ]


def evaluation_batches(
    videos: Videos,
    spec: ClipSpec,
    *,
    batch_size: int,
    shard: Shard = Shard(),  # noqa: B008 (frozen)
    loading: Loading = Loading(),  # noqa: B008 (frozen)
) -> grain.DatasetIterator[Batch]:
    """Yields the `evaluation_clips` once, in their order.

    The last batch is padded by copies of weight 0, so that every process sees as many batches as the others.

    Returns:
      An iterator of batches like those of `train_batches`, and `place` int32 [B]: a clip's number among the
      `evaluation_clips`, -1 for padding.
    """
    clips = evaluation_clips(videos, spec)

    def batch(number: int) -> Batch:
        places = np.array(shard.places(number, batch_size))
        out = videos.load([clips[min(place, len(clips) - 1)] for place in places])
        out["weight"] = (places < len(clips)).astype(np.float32)
        out["place"] = np.where(places < len(clips), places, -1).astype(np.int32)
        return out

    return _iterate(batch, 0, -(-len(clips) // batch_size), loading)


def _iterate(
    batch: Callable[[int], Batch], start: int, stop: int, loading: Loading
) -> grain.DatasetIterator[Batch]:
    # Whole batches are what is handed to worker processes: their number must not change the batches.
    numbers = grain.MapDataset.range(start, stop).map(batch)
    stream = numbers.to_iter_dataset(
        grain.ReadOptions(
            num_threads=loading.threads, prefetch_buffer_size=max(loading.prefetch, loading.threads)
        )
    )
    if loading.workers:
        stream = in_workers(stream, loading.workers)
    return iter(stream)
