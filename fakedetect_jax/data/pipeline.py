"""From videos to batches of clips: shuffled by seed, sharded by process, prefetched by grain, resumable at any step.

Every batch is a pure function of (seed, step). The position in the stream is therefore one number, the step, and a run
resumes exactly whatever the number of threads or worker processes.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import threading
import time
from collections.abc import Callable

import grain
import numpy as np
from absl import flags
from jaxtyping import Int

from fakedetect_jax.data.clips import Clip, ClipSpec, choose_clips
from fakedetect_jax.data.videos import Batch, Videos
from fakedetect_jax.errors import FakedetectError

# How often a worker process looks whether its program still runs.
_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class Loading:
    """How batches are prepared.

    Attributes:
        threads: Threads that load, in this process or in each worker.
        workers: Worker processes; 0 loads in this process.
        prefetch: Batches that are prepared ahead.
    """

    threads: int = 2
    workers: int = 0
    prefetch: int = 2


@dataclasses.dataclass(frozen=True)
class Shard:
    """The share of every batch that this process loads: the `index`-th of `count` equal runs of rows."""

    index: int = 0
    count: int = 1

    def rows(self, batch_size: int) -> int:
        """Return how many rows of a batch of `batch_size` each process loads.

        Raises:
            FakedetectError: The batch does not divide by the processes.
        """
        if batch_size % self.count:
            raise FakedetectError(
                f"batch_size={batch_size} does not divide by the {self.count} processes; use a multiple"
            )
        return batch_size // self.count

    def places(self, batch: int, batch_size: int) -> range:
        """Return the places, in the global stream, of this process's rows of the `batch`-th batch."""
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
    """Yield the batches of steps `start` ... `steps` - 1: random clips of shuffled videos, epoch after epoch.

    Args:
        videos: Where the clips come from.
        spec: What a clip is.
        batch_size: Clips a step over all processes.
        steps: Number of the run's steps.
        start: First step.
        seed: Decides shuffling and clips.
        shard: This process's share.
        loading: Threads and processes; they do not change the batches.

    Returns:
        An iterator of batches as `Videos.load` returns them, of B = batch_size / shard.count clips.
    """
    load = functools.partial(_train_batch, videos, spec, batch_size, seed, shard)
    return _iterate(load, start, steps, loading)


def _train_batch(
    videos: Videos, spec: ClipSpec, batch_size: int, seed: int, shard: Shard, step: int
) -> Batch:
    return videos.load([_drawn_clip(videos, spec, seed, place) for place in shard.places(step, batch_size)])


def _drawn_clip(videos: Videos, spec: ClipSpec, seed: int, place: int) -> tuple[int, Clip]:
    """Return the clip at a place of the global stream, with the number of its video."""
    epoch, row = divmod(place, len(videos))
    video = int(_shuffled(len(videos), seed, epoch)[row])
    rng = np.random.default_rng((seed, place))
    (clip,) = choose_clips(videos.videos[video].times, spec, rng=rng)
    return video, clip


@functools.lru_cache(maxsize=8)
def _shuffled(count: int, seed: int, epoch: int) -> Int[np.ndarray, " n"]:
    """Return 0 ... `count` - 1 in the order of an epoch.

    Looking up one place in grain's `shuffle` takes longer than decoding.
    """
    return np.random.default_rng((seed, epoch, 1)).permutation(count)


def evaluation_clips(videos: Videos, spec: ClipSpec) -> list[tuple[int, Clip]]:
    """Return all clips of every video in stored order, as (number of the video, clip)."""
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
    """Yield the `evaluation_clips` once, in their order.

    The last batch is padded with copies of weight 0, so that all processes see the same number of batches.

    Args:
        videos: Where the clips come from.
        spec: What a clip is.
        batch_size: Clips a batch over all processes.
        shard: This process's share.
        loading: Threads and processes; they do not change the batches.

    Returns:
        An iterator of batches like those of `train_batches`, with `place` int32 [B]: the number of a clip among the
        `evaluation_clips`, -1 for padding.
    """
    clips = evaluation_clips(videos, spec)
    load = functools.partial(_evaluation_batch, videos, clips, batch_size, shard)
    return _iterate(load, 0, -(-len(clips) // batch_size), loading)


def _evaluation_batch(
    videos: Videos, clips: list[tuple[int, Clip]], batch_size: int, shard: Shard, number: int
) -> Batch:
    places = np.array(shard.places(number, batch_size))
    out = videos.load([clips[min(place, len(clips) - 1)] for place in places])
    out["weight"] = (places < len(clips)).astype(np.float32)
    out["place"] = np.where(places < len(clips), places, -1).astype(np.int32)
    return out


def _iterate(
    load: Callable[[int], Batch], start: int, stop: int, loading: Loading
) -> grain.DatasetIterator[Batch]:
    # Worker processes get whole batches, so that their number does not change the batches.
    numbers = grain.MapDataset.range(start, stop).map(load)
    stream = numbers.to_iter_dataset(
        grain.ReadOptions(
            num_threads=loading.threads, prefetch_buffer_size=max(loading.prefetch, loading.threads)
        )
    )
    if loading.workers:
        stream = in_workers(stream, loading.workers)
    return iter(stream)


def in_workers(stream: grain.IterDataset, count: int) -> grain.IterDataset:
    """Read `stream` in `count` worker processes, which end with this program even if it is killed."""
    # Grain reads its absl flags, which other programs have not parsed.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
    return stream.mp_prefetch(
        grain.MultiprocessingOptions(num_workers=count),
        worker_init_fn=functools.partial(_end_with, os.getpid()),
    )


def _end_with(program: int, _: int, __: int) -> None:
    """Make this worker end when `program` does, however that ends, and not before."""
    # A terminal sends Ctrl-C, and Slurm sends SIGTERM, to all processes; the program decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(program,), daemon=True).start()


def _watch(program: int) -> None:
    # Linux could send a signal instead, but would do so when the thread that started the worker ends.
    while os.getppid() == program:
        time.sleep(_SECONDS)
    os._exit(1)
