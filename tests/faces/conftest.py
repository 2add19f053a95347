from pathlib import Path

import cv2
import numpy as np
import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture(scope="session")
def clip_path() -> Path:
    """A man, 24 frames of 320x180."""
    return FIXTURES / "face.mp4"


@pytest.fixture(scope="session")
def man(clip_path) -> list[np.ndarray]:
    capture = cv2.VideoCapture(str(clip_path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    assert len(frames) == 24
    return frames


@pytest.fixture(scope="session")
def woman() -> np.ndarray:
    """A photograph, 256x256 BGR."""
    return cv2.imread(str(FIXTURES / "astronaut.jpg"))


@pytest.fixture
def save(tmp_path):
    """Write BGR frames as an mp4, or as a folder of PNGs when the name has no suffix."""

    def write(name: str, frames: list[np.ndarray]) -> Path:
        path = tmp_path / name
        if not path.suffix:
            path.mkdir()
            for index, frame in enumerate(frames):
                cv2.imwrite(str(path / f"frame{index}.png"), frame)
            return path
        height, width = frames[0].shape[:2]
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (width, height))
        for frame in frames:
            writer.write(frame)
        writer.release()
        return path

    return write
