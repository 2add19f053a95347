"""A planned clip -> a video file. Real and fake clips take the same way: read, (forge the face,) encode."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from data_builders.mini_forensics import footage
from data_builders.mini_forensics.forgeries.mesh_swap import mesh_swap
from data_builders.mini_forensics.forgeries.poisson_swap import poisson_swap
from data_builders.mini_forensics.forgeries.reenact import reenact
from data_builders.mini_forensics.landmarks import track_mesh

_FORGE = {"mesh_swap": mesh_swap, "poisson_swap": poisson_swap, "reenact": reenact}
_CODEC = "mp4v"


def render(clip: footage.ClipPlan, folder: Path) -> Path:
    """Write folder/<video_id>.mp4 and return its path; the same clip always gives the same frames.

    Safe to call from several processes: nothing is cached and no state is shared.

    Raises:
        ValueError: an asset that cannot be read, a clip without a face, a file that cannot be written.
    """
    frames, fps = pixels(clip)
    path = Path(folder) / f"{clip.video_id}.mp4"
    encode(frames, fps, path)
    return path


def pixels(clip: footage.ClipPlan) -> footage.Footage:
    """The frames of a clip before encoding, BGR."""
    target = footage.read(clip.target, seed=clip.seed)
    if clip.donor is None:
        return target
    # A photograph gives no more than one picture of a donor, however long the camera moves over it.
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
    """Write BGR frames as MPEG-4 part 2.

    Raises:
        ValueError: the file cannot be written.
    """
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*_CODEC), fps, (width, height))
    if not writer.isOpened():
        raise ValueError(f"{path} cannot be written: does its folder exist, and is there room on the disk?")
    for frame in frames:
        writer.write(frame)
    writer.release()
