"""From a planned clip to a video file. Real and fake clips are read and encoded alike; in between, a fake is forged."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from fakedetect_jax.data_builders.mini_forensics import footage
from fakedetect_jax.data_builders.mini_forensics.forgeries.mesh_swap import mesh_swap
from fakedetect_jax.data_builders.mini_forensics.forgeries.poisson_swap import poisson_swap
from fakedetect_jax.data_builders.mini_forensics.forgeries.reenact import reenact
from fakedetect_jax.data_builders.mini_forensics.landmarks import track_mesh
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.video import open_video

_FORGE = {"mesh_swap": mesh_swap, "poisson_swap": poisson_swap, "reenact": reenact}
# Intra-coded and nearly lossless, like FaceForensics++ raw: stronger compression hides the traces that such classical
# forgeries leave, and a dataset this small is not enough to learn them despite it.
_CODEC, _QUALITY = "MJPG", 95


def render(clip: footage.ClipPlan, folder: Path) -> Path:
    """Write folder/<video_id>.avi and return its path; the same clip always gives the same frames.

    Several processes may call it: nothing is cached and no state is shared.

    Raises:
        FakedetectError: An asset cannot be read, a frame has no face, or the file cannot be written.
    """
    frames, fps = pixels(clip)
    path = Path(folder) / f"{clip.video_id}.avi"
    encode(frames, fps, path)
    return path


def pixels(clip: footage.ClipPlan) -> footage.Footage:
    """Return the frames of a clip before encoding, BGR.

    Raises:
        FakedetectError: An asset cannot be read, or a frame has no face.
    """
    target = footage.read(clip.target, seed=clip.seed)
    if clip.donor is None:
        return target
    # A photograph gives only one picture of a donor, however long the camera moves over it.
    donor = footage.read(clip.donor, seed=clip.seed, count=1 if clip.donor.is_photograph else None)
    forged = _FORGE[clip.method](
        target.frames,
        track_mesh(target.frames),
        donor.frames,
        track_mesh(donor.frames),
        seed=int(footage.rng_for("forgery", clip.video_id, clip.seed).integers(2**31)),
    )
    return footage.Footage(forged, target.fps)


def encode(frames: UInt8[np.ndarray, "t h w 3"], fps: float, path: Path) -> None:
    """Write BGR frames as motion JPEG.

    Raises:
        FakedetectError: The file cannot be written, or not to its end.
    """
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*_CODEC), fps, (width, height)
    )
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, _QUALITY)
    if not writer.isOpened():
        raise FakedetectError(
            f"{path} cannot be written: does its folder exist, and is there room on the disk?"
        )
    for frame in frames:
        writer.write(frame)
    writer.release()
    # The writer does not report a full disk, but the index, which it writes last, tells.
    written = open_video(path).length()
    if written != len(frames):
        raise FakedetectError(
            f"{path}: only {written} of {len(frames)} frames could be written; is there room on the disk?"
        )


def main() -> None:
    """Render one clip of the plan, to look at it or to score it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("video_id", help="name of a clip, such as test_s5a_0, or how it begins")
    parser.add_argument("--out", type=Path, default=Path(), help="folder to write to")
    arguments = parser.parse_args()
    matching = [clip for clip in footage.plan() if clip.video_id.startswith(arguments.video_id)]
    if not matching:
        parser.error(
            f"no clip {arguments.video_id!r}; there are {[clip.video_id for clip in footage.plan()]}"
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(render(matching[0], arguments.out))


if __name__ == "__main__":
    main()
