"""Compare the frames a second in training batches of long videos with JPEG decoding alone on the same cores.

    python benchmarks/reading.py [--length 500] [--videos 24] [--frames 8] [--batches 60]

A dataset of videos of the given length, all of one real face, is built first. Both are then measured in turns in one
run, in wall time with one thread for each core. Printed are the median ratio and the bytes of records read for each
byte of the sampled pictures. The bare decoder takes the same JPEG files, already in memory.
"""

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import simplejpeg
import tensorflow_datasets as tfds

from fakedetect_jax.data import schema
from fakedetect_jax.data.clips import ClipSpec, choose_clips
from fakedetect_jax.data.pipeline import Loading, train_batches
from fakedetect_jax.data.videos import Videos, select
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem
from fakedetect_jax.data_builders.mini_forensics.render import encode
from fakedetect_jax.faces.video import open_video

FACE = Path(__file__).parents[1] / "tests" / "fixtures" / "face.mp4"
BATCH = 16
ROUNDS = 5


class LongVideos(FaceSequenceBuilder):
    """One video under many names."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, video: Path, count: int, data_dir: Path) -> None:
        self._video, self._count = video, count
        super().__init__(data_dir=data_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self, features=schema.features(), metadata=self._metadata(), disable_shuffling=True
        )

    def listing(self) -> Listing:
        """Return the video as often as asked for."""
        names = [f"v{number}" for number in range(self._count)]
        return Listing([VideoItem(name, "train", "real", self._video, name) for name in names])


def build(folder: Path, length: int, count: int) -> Videos:
    """Build `count` videos of `length` frames."""
    faces = [frame.image for frame in open_video(FACE).frames]
    cycle = faces + faces[-2:0:-1]
    encode(np.stack([cycle[place % len(cycle)] for place in range(length)]), 25.0, folder / "long.avi")
    made, _ = prepare(LongVideos(folder / "long.avi", count, folder / "data"))
    return select(folder / "data", made.parent.name, "train")


def bare(files: list[bytes], threads: int) -> float:
    """Return the frames a second of decoding alone."""
    share = -(-len(files) // threads)
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        parts = [files[i : i + share] for i in range(0, len(files), share)]
        list(pool.map(lambda part: [simplejpeg.decode_jpeg(file) for file in part] and None, parts))
    return len(files) / (time.perf_counter() - start)


def delivered(videos: Videos, spec: ClipSpec, batches: int, threads: int, seed: int) -> float:
    """Return the frames a second of whole batches after the first, which starts the threads."""
    loading = Loading(threads=threads, prefetch=threads)
    stream = train_batches(videos, spec, batch_size=BATCH, steps=batches + 1, seed=seed, loading=loading)
    next(stream)
    start = time.perf_counter()
    for _ in stream:
        pass
    return batches * BATCH * spec.frames / (time.perf_counter() - start)


def main() -> None:
    """Print the two rates and their ratio, and the bytes read."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--length", type=int, default=500)
    parser.add_argument("--videos", type=int, default=24)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--batches", type=int, default=60)
    options = parser.parse_args()
    threads = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        videos = build(Path(folder), options.length, options.videos)
        spec = ClipSpec(videos.extraction, options.frames, 0.16, 5.0, size=224, margin=0.125)
        files, read = sample(videos, spec, options.batches * BATCH)
        rates = [
            (bare(files, threads), delivered(videos, spec, options.batches, threads, seed))
            for seed in range(ROUNDS)
        ]
    decode, batches = np.median(rates, axis=0)
    print(f"{options.videos} videos of {options.length} frames, {threads} threads")
    print(f"JPEG decoding alone   {decode:9.0f} frames/s")
    print(f"training batches      {batches:9.0f} frames/s   ratio {np.median([b / d for d, b in rates]):.3f}")
    print(f"bytes of records read for each byte of the sampled pictures: {read / sum(map(len, files)):.3f}")


def sample(videos: Videos, spec: ClipSpec, clips: int) -> tuple[list[bytes], int]:
    """Draw clips as training does; return their pictures and the bytes of the records that hold them."""
    rng, files, read = np.random.default_rng(0), [], 0
    for _ in range(clips):
        video = videos.videos[rng.integers(len(videos))]
        (clip,) = choose_clips(video.times, spec, rng=rng)
        for position in clip.positions.tolist():
            record = videos.records[video.tracks[clip.track].first + position]
            files.append(record["jpeg"])
            read += record.size
    return files, read


if __name__ == "__main__":
    main()
