"""Video files of every kind, encoded for the tests by PyAV; and what the `ffmpeg` program decodes of them."""

import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np


def moving_scene(count: int, height: int = 96, width: int = 160) -> list[np.ndarray]:
    """Return colourful BGR frames, smooth enough for any codec, with a bright bar that moves to the right."""
    y, x = np.mgrid[:height, :width]
    ground = np.stack(
        [60 + 120 * x / width, 160 - 100 * y / height, 40 + 80 * (x + y) / (width + height)], -1
    )
    frames = []
    for index in range(count):
        frame = ground.copy()
        left = 8 + index * (width - 32) // count
        frame[16:-16, left : left + 16] = (40, 250, 220)
        frames.append(frame.round().astype(np.uint8))
    return frames


def encode(
    path: Path,
    frames: Sequence[np.ndarray],
    codec: str = "libx264",
    pixels: str = "yuv420p",
    *,
    rate: int = 25,
    container: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    display_matrix: Sequence[int] | None = None,
    **context: Any,
) -> Path:
    """Encode BGR frames.

    Args:
        path: Of the file.
        frames: All of one size.
        codec: FFmpeg's name of the encoder.
        pixels: FFmpeg's name of the pixel format.
        rate: Frames a second.
        container: FFmpeg's name of the container, if the path does not tell.
        options: Of the encoder.
        container_options: Of the container.
        times: Of the frames in milliseconds; evenly spaced if None.
        display_matrix: As in ISO 14496-12.
        **context: Attributes of the encoder, such as `color_trc`.
    """
    with av.open(str(path), "w", format=container, container_options=container_options or {}) as file:
        stream = file.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if display_matrix is not None:
            stream.set_display_matrix(display_matrix)
        for name, value in context.items():
            setattr(stream.codec_context, name, value)
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(
                frame, format="rgb48le" if frame.dtype == np.uint16 else "bgr24"
            )
            if times is not None:
                picture.pts, picture.time_base = times[index], Fraction(1, 1000)
            file.mux(stream.encode(picture))
        file.mux(stream.encode())
    return path


def add_sound(path: Path, video: Path, seconds: float) -> Path:
    """Copy a video and put silence of so many seconds beside it."""
    with av.open(str(video)) as source, av.open(str(path), "w") as file:
        pictures = file.add_stream_from_template(source.streams.video[0])
        sound = file.add_stream("aac", rate=44100, layout="mono")
        for start in range(0, round(seconds * 44100), 1024):
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            samples.sample_rate, samples.pts, samples.time_base = 44100, start, Fraction(1, 44100)
            file.mux(sound.encode(samples))
        file.mux(sound.encode())
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = pictures
                file.mux(packet)
    return path


def as_ffmpeg_shows(path: Path, *filters: str, format: str | None = None) -> np.ndarray:
    """Return the BGR frames [T, H, W, 3] that the ffmpeg program decodes."""
    with av.open(str(path), format=format) as file:
        stream = file.streams.best("video")
        assert stream is not None
        width, height, number = stream.codec_context.width, stream.codec_context.height, stream.index
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-noautorotate"]
    command += ["-i", str(path), "-map", f"0:{number}", "-fps_mode", "passthrough"]
    command += ["-vf", ",".join(filters)] if filters else []
    command += ["-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, height, width, 3)
