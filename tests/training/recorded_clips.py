"""Clips with recorded labels, as a loader gives them: of noise, for what is asked of numbers and not of faces."""

import numpy as np


def recorded_clips(clips: int, *, valid: float = 1.0) -> dict[str, np.ndarray]:
    """A batch of clips of two frames, of which so large a share counts; reals and fakes in turn."""
    rng = np.random.default_rng(0)
    return {
        "frames": rng.integers(0, 255, (clips, 2, 64, 64, 3)).astype(np.uint8),
        "landmarks": rng.uniform(16, 48, (clips, 2, 81, 2)).astype(np.float32),
        "timestamps": np.zeros((clips, 2), np.float32),
        "valid": rng.random((clips, 2)) < valid,
        "label": (np.arange(clips) % 2).astype(np.int32),
        "method": np.zeros(clips, np.int32),
        "weight": np.ones(clips, np.float32),
    }
