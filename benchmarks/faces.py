"""Frames a second of the face pipeline on one core: decode, then with landmarks, then all.

    taskset -c 0 python benchmarks/faces.py VIDEO [--frames 300]

Rates are per second of processor time, so that other work on the machine hardly matters. The last column
is the rate relative to decoding alone.
"""

import argparse
import time
from collections.abc import Callable

import cv2

from fakedetect_jax.faces import extract
from fakedetect_jax.faces.appearance import thumbnail
from fakedetect_jax.faces.detect import FaceDetector
from fakedetect_jax.faces.mesh import FaceMesh
from fakedetect_jax.faces.track import Tracker
from fakedetect_jax.faces.video import open_video


def decode(path: str, frames: int) -> int:
    """Decode only; the number of frames there were."""
    return sum(1 for _ in open_video(path, max_frames=frames).frames)


def track(path: str, frames: int) -> None:
    """Decode, detect, fit the landmarks, track."""
    tracker = Tracker(FaceDetector(), FaceMesh(), thumbnail, min_face=32)
    for frame in open_video(path, max_frames=frames).frames:
        tracker.update(frame.image, frame.index)


def main() -> None:
    """Print one line a stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    extract(options.video, max_frames=3)
    count = decode(options.video, options.frames)
    stages: dict[str, Callable[[], object]] = {
        "decode": lambda: decode(options.video, count),
        "decode + detect + landmarks": lambda: track(options.video, count),
        "extract": lambda: extract(options.video, max_frames=count),
    }
    baseline = None
    for name, stage in stages.items():
        start = time.process_time()
        stage()
        rate = count / (time.process_time() - start)
        baseline = baseline or rate
        print(f"{name:30}{rate:9.1f} frames/s {rate / baseline:8.3f}")


if __name__ == "__main__":
    main()
