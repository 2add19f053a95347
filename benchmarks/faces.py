"""Measure the face pipeline on one core: frames a second, and the accuracy lost by detecting less often.

    taskset -c 0 python benchmarks/faces.py VIDEO [--frames 300]

Rates are per second of processor time, so that other work on the machine hardly matters. Ratios compare with
decoding, detecting and fitting landmarks alone, on the same frames. The error is the mean distance of the landmarks
from those with detection on every frame, as a fraction of the face's width; lost frames are counted.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from fakedetect_jax.faces import FaceSequence, extract_faces, warp
from fakedetect_jax.faces.appearance import thumbnail
from fakedetect_jax.faces.networks import FaceDetector, FaceMesh
from fakedetect_jax.faces.tracking import Tracker
from fakedetect_jax.faces.video import open_video

DETECT_EVERY = (2, 4, 8)


def decode(path: str, frames: int) -> int:
    """Decode only, and return the number of frames."""
    return sum(1 for _ in open_video(path, max_frames=frames).frames)


def track(path: str, frames: int) -> None:
    """Decode, detect, fit the landmarks, track."""
    tracker = Tracker(FaceDetector(), FaceMesh(), thumbnail, min_face=32)
    for frame in open_video(path, max_frames=frames).frames:
        tracker.update(frame.image, frame.index)


def source_landmarks(sequences: Sequence[FaceSequence]) -> dict[int, np.ndarray]:
    """Return the landmarks of the main track in source pixels, by frame."""
    main = sequences[0]
    return {
        int(index): warp.apply_affine(cv2.invertAffineTransform(affine), points)
        for index, affine, points in zip(main.frame_index, main.affine, main.landmarks, strict=True)
    }


def deviation(exact: Sequence[FaceSequence], cheap: Sequence[FaceSequence]) -> str:
    """Describe the error of the cheaper way."""
    truth, got = source_landmarks(exact), source_landmarks(cheap)
    errors = [
        np.linalg.norm(got[index] - points, axis=1).mean() / np.ptp(points[:, 0])
        for index, points in truth.items()
        if index in got
    ]
    return f"error {np.mean(errors):.4f} of the width, {len(truth) - len(errors)} of {len(truth)} frames lost"


def timed(work: Callable[[], object], frames: int) -> tuple[float, Any]:
    """Return frames per second of processor time, and the result."""
    start = time.process_time()
    result = work()
    return frames / (time.process_time() - start), result


def main() -> None:
    """Print one line for each stage."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video")
    parser.add_argument("--frames", type=int, default=300)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    extract_faces(options.video, max_frames=3)
    count = decode(options.video, options.frames)
    stages: dict[str, Callable[[], object]] = {
        "decode": lambda: decode(options.video, count),
        "decode + detect + landmarks": lambda: track(options.video, count),
        "extract_faces": lambda: extract_faces(options.video, max_frames=count),
    }
    rates: dict[str, float] = {}
    results: dict[str, Any] = {}
    for name, stage in stages.items():
        rates[name], results[name] = timed(stage, count)
    floor = rates["decode + detect + landmarks"]
    for name, rate in rates.items():
        print(f"{name:30}{rate:9.1f} frames/s {rate / floor:8.3f}")
    for every in DETECT_EVERY:
        rate, cheap = timed(lambda: extract_faces(options.video, max_frames=count, detect_every=every), count)  # noqa: B023
        name = f"extract_faces, detect every {every}"
        print(
            f"{name:30}{rate:9.1f} frames/s {rate / floor:8.3f}  {deviation(results['extract_faces'], cheap)}"
        )


if __name__ == "__main__":
    main()
