import numpy as np
import pytest


def face_landmarks(centre=(128.0, 136.0), width=140.0):
    """Return a plausible frontal face: its layout matters, its exact anatomy does not."""
    jaw = np.linspace(np.pi, 0.0, 17)
    points = [(0.5 * np.cos(a), 0.62 * np.sin(a) - 0.12) for a in jaw]
    points += [
        (x, -0.33 - 0.04 * np.sin((x - lo) / 0.25 * np.pi))
        for lo in (-0.35, 0.1)
        for x in np.linspace(lo, lo + 0.25, 5)
    ]
    points += [(0.0, y) for y in np.linspace(-0.25, 0.0, 4)]
    points += [(x, 0.06) for x in np.linspace(-0.1, 0.1, 5)]
    for x in (-0.22, 0.22):
        points += [
            (x + dx, -0.22 + dy)
            for dx, dy in ((-0.09, 0), (-0.03, -0.03), (0.03, -0.03), (0.09, 0), (0.03, 0.03), (-0.03, 0.03))
        ]
    upper = [(x, 0.2 - 0.02 * (1 - abs(x) / 0.2)) for x in np.linspace(-0.2, 0.2, 7)]
    lower = [(x, 0.28) for x in np.linspace(0.14, -0.14, 5)]
    points += upper + lower
    points += [(x, 0.22) for x in np.linspace(-0.15, 0.15, 5)] + [(x, 0.24) for x in (0.08, 0.0, -0.08)]
    points += [(0.45 * np.cos(a), -0.3 - 0.3 * np.sin(a)) for a in np.linspace(np.pi, 0.0, 13)]
    return (np.array(points) * width + centre).astype(np.float32)


def smooth_image(seed, size=256):
    """Return low-frequency colour with some texture, like a photograph for resampling and compression."""
    rng = np.random.default_rng(seed)
    image = np.zeros((size, size, 3))
    y, x = np.mgrid[0:size, 0:size] / size
    for frequency in (1, 2, 4, 8, 16, 32):
        phase = rng.uniform(0, 2 * np.pi, (3, 2))
        weight = rng.uniform(0.3, 1.0, 3) / frequency
        for c in range(3):
            image[..., c] += (
                weight[c]
                * np.sin(2 * np.pi * frequency * x + phase[c, 0])
                * np.cos(2 * np.pi * frequency * y + phase[c, 1])
            )
    image = (image - image.min()) / (image.max() - image.min())
    return image.astype(np.float32)


@pytest.fixture
def clip():
    """Two frames and their landmarks; the second face is slightly displaced."""
    frames = np.stack([smooth_image(0), smooth_image(1)])
    return frames, np.stack([face_landmarks(), face_landmarks((131.0, 133.0))])
