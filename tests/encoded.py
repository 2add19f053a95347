"""Videos encoded by PyAV, with the encoder's options."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


def encode(
    path: Path, images: Iterable[np.ndarray], *, fps: int = 25, codec: str = "libx264", **options: Any
) -> Path:
    """Writes BGR images of one size as a video."""
    images = iter(images)
    first = next(images)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.options = {name: str(value) for name, value in options.items()}
        for image in (first, *images):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path
