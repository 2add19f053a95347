"""Photographs, animations and folders of frames, through the decoder."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from fakedetect_jax.faces.frame import MAX_PIXELS, VideoError
from fakedetect_jax.faces.video import open_video
from tests.faces.encoding import moving_scene
from tests.fuzz.byte_mutations import cut, damage, damage_near
from tests.fuzz.target import Case, Target, Wrong

COUNT = 6
_STILLS = (
    "photo.jpg",
    "progressive.jpg",
    "photo.png",
    "photo.webp",
    "photo.bmp",
    "photo.tif",
    "lzw.tiff",
    "turned.jpg",
)
_ANIMATIONS = ("moving.png", "moving.webp")
_PARTS = (
    *(
        b"IHDR",
        b"IDAT",
        b"IEND",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"PLTE",
        b"eXIf",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xc4",
    ),
    *(
        b"\xff\xda",
        b"\xff\xdb",
        b"\xff\xe1",
        b"Exif",
        b"RIFF",
        b"VP8 ",
        b"VP8X",
        b"VP8L",
        b"ANIM",
        b"ANMF",
        b"BM",
    ),
    *(b"II*\0", b"\x00\x01\x03\x00", b"\x01\x01\x03\x00", b"\x11\x01", b"\x17\x01"),
)


class Images(Target):
    """A picture is decoded, or named; the frames of a folder that can be decoded are kept, and the others counted."""

    errors = (VideoError,)

    def prepare(self) -> None:
        scene = moving_scene(COUNT, 64, 96)
        first = Image.fromarray(scene[0][..., ::-1])
        first.save(self.corpus / "progressive.jpg", progressive=True)
        exif = Image.Exif()
        exif[0x0112] = 6
        first.save(self.corpus / "turned.jpg", exif=exif)
        first.save(self.corpus / "lzw.tiff", compression="tiff_lzw")
        for name in _STILLS:
            if not (self.corpus / name).exists():
                assert cv2.imwrite(str(self.corpus / name), scene[0])
        others = [Image.fromarray(frame[..., ::-1]) for frame in scene[1:]]
        for name in _ANIMATIONS:
            first.save(self.corpus / name, save_all=True, append_images=others, duration=40, loop=0)
        for name in (*_STILLS, *_ANIMATIONS):
            count = len(list(open_video(self.corpus / name).frames))
            assert count == (COUNT if name in _ANIMATIONS else 1), name

    def load(self) -> None:
        self._data = {name: (self.corpus / name).read_bytes() for name in (*_STILLS, *_ANIMATIONS)}

    def case(self, rng: random.Random, folder: Path) -> Case:
        name = rng.choice(list(self._data))
        if name in _STILLS and rng.random() < 0.25:
            return self._frames(rng, folder, name)
        path = folder / name
        is_cut = self._write(rng, path, name)
        count = COUNT if name in _ANIMATIONS else 1

        def use() -> None:
            decoded, damage = _decoded(path)
            if is_cut and decoded < count and not damage:
                raise Wrong(f"{decoded} of {count} frames, and no word of damage")

        return Case(use, (name,))

    def _frames(self, rng: random.Random, folder: Path, name: str) -> Case:
        """A folder of three frames, one or all of them damaged."""
        frames = folder / "frames"
        frames.mkdir()
        damaged = rng.choice(((1,), (0, 1, 2)))
        for number in range(3):
            path = frames / f"{number}{Path(name).suffix}"
            path.write_bytes(self._data[name])
            if number in damaged:
                self._write(rng, path, name)

        def use() -> None:
            decoded, damage = _decoded(frames)
            if decoded + len(damaged) < 3 or (decoded < 3 and not damage):
                raise Wrong(f"{decoded} of 3 frames; damage: {damage!r}")

        return Case(use, ("frames",))

    def _write(self, rng: random.Random, path: Path, name: str) -> bool:
        """Write a damaged picture, and return whether it is only cut."""
        data, how = self._data[name], rng.random()
        if how < 0.15:
            path.write_bytes(cut(rng, data))
        elif how < 0.5:
            path.write_bytes(damage_near(rng, data, _PARTS))
        else:
            path.write_bytes(damage(rng, data, list(self._data.values())))
        return how < 0.15


def _decoded(path: Path) -> tuple[int, str]:
    """Decode a video; return the number of its frames, and what it says of its damage."""
    video = open_video(path)
    count, previous = 0, -1.0
    for frame in video.frames:
        image = frame.image
        if image.dtype != np.uint8 or image.ndim != 3 or not 0 < image.size <= 3 * MAX_PIXELS:
            raise Wrong(f"a picture {image.dtype}{image.shape}")
        if not previous < frame.timestamp < 1e9:
            raise Wrong(f"the time {frame.timestamp} follows {previous}")
        previous = frame.timestamp
        count += 1
    if not count:
        raise Wrong("no frame, and no error")
    if len(video.damage) > 1000:
        raise Wrong(f"{len(video.damage)} characters on the damage")
    return count, video.damage
