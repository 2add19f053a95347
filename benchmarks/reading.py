"""Frames a second that training batches deliver, against JPEG decoding alone on the same cores.

    python benchmarks/reading.py --data data --dataset mini_forensics --split train [--frames 8] [--batches 60]

Both are measured in turns in one run, on wall time with as many threads as there are cores; the median ratio
is printed. The bare decoder takes the same JPEG files, already in memory.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import simplejpeg

from fakedetect_jax.data.pipeline import Loading, train_batches
from fakedetect_jax.data.tracks import Tracks, select

BATCH = 16
ROUNDS = 5


def bare(files: list[bytes], threads: int) -> float:
    """Frames a second of decoding alone."""
    share = -(-len(files) // threads)
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        parts = [files[i : i + share] for i in range(0, len(files), share)]
        list(pool.map(lambda part: [simplejpeg.decode_jpeg(file) for file in part] and None, parts))
    return len(files) / (time.perf_counter() - start)


def delivered(tracks: Tracks, options: argparse.Namespace, threads: int, seed: int) -> float:
    """Frames a second of whole batches; the first, which starts the threads, is not counted."""
    batches = train_batches(
        tracks,
        batch_size=BATCH,
        steps=options.batches + 1,
        frames=options.frames,
        stride=1,
        seed=seed,
        loading=Loading(threads=threads, prefetch=threads),
    )
    next(batches)
    start = time.perf_counter()
    for _ in batches:
        pass
    return options.batches * BATCH * options.frames / (time.perf_counter() - start)


def main() -> None:
    """Print the two rates and their ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="data")
    parser.add_argument("--dataset", default="mini_forensics")
    parser.add_argument("--split", default="train")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--batches", type=int, default=60)
    options = parser.parse_args()
    tracks, threads = select(options.data, options.dataset, options.split), os.cpu_count() or 1
    count = options.batches * BATCH * options.frames
    rng = np.random.default_rng(0)
    files: list[bytes] = []
    while len(files) < count:
        record = tracks.records[tracks.entries[rng.integers(len(tracks))].position]
        files += list(record["frames"])[: options.frames]
    rates = [
        (bare(files[:count], threads), delivered(tracks, options, threads, seed)) for seed in range(ROUNDS)
    ]
    decode, batches = np.median(rates, axis=0)
    length = np.mean([entry.frames for entry in tracks.entries])
    print(f"{len(tracks)} tracks of {length:.0f} frames, {threads} threads")
    print(f"JPEG decoding alone   {decode:9.0f} frames/s")
    print(f"training batches      {batches:9.0f} frames/s   ratio {np.median([b / d for d, b in rates]):.3f}")


if __name__ == "__main__":
    main()
