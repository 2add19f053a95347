"""Archives of face images, as WildDeepfake is published."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
from pathlib import Path

import cv2
import numpy as np

from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.wild_deepfake.layout import list_videos
from fakedetect_jax.data_builders.wild_deepfake.sequences import write_frames
from fakedetect_jax.faces import VideoError
from tests.faces.encoding import moving_scene
from tests.fuzz.byte_mutations import damage
from tests.fuzz.listed import check_listing
from tests.fuzz.target import Case, Target, Wrong

_BLOCK = 512
_NAMES = (
    *(
        "../x.png",
        "/etc/x.png",
        "1/../../x.png",
        "C:\\x.png",
        "1\\x.png",
        "~/x.png",
        "1/x",
        "1/\0.png",
        "1/\x1b[2J.png",
    ),
    *(
        "",
        ".",
        "1",
        "1/a/b/c.png",
        "1/" + "a" * 90,
        "1/.x.png",
        "1/é.png",
        "1/x.txt",
        "2/0.png",
        "1/0.png/0.png",
    ),
)
_SIZES = (0, 1, 511, 512, 513, 65_536, 50_000_001, 1 << 32, 8**11 - 1)


class Archives(Target):
    """The images of a sound archive come out; nothing is written elsewhere; damage is named with the archive."""

    errors = (SourceError, VideoError)
    memory = 256 << 20

    def prepare(self) -> None:
        with tarfile.open(self.corpus / "7.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            for number, frame in enumerate(moving_scene(6, 64, 64)):
                data = cv2.imencode(".jpg" if number == 5 else ".png", frame)[1].tobytes()
                name = f"{1 + number // 3}/{number % 3}" + (".jpg" if number == 5 else ".png")
                info = tarfile.TarInfo(name)
                info.size = len(data)
                if number == 4:
                    info.pax_headers = {"comment": "é" * 20, "path": "2/" + "long" * 40 + ".png"}
                archive.addfile(info, io.BytesIO(data))

    def load(self) -> None:
        self._tar = (self.corpus / "7.tar").read_bytes()
        self._zipped = gzip.compress(self._tar, mtime=0)
        self._sound: set[str] = set()

    def case(self, rng: random.Random, folder: Path) -> Case:
        if not self._sound:
            (folder / "sound" / "real_test").mkdir(parents=True)
            (folder / "sound" / "real_test" / "7.tar.gz").write_bytes(self._zipped)
            self._sound = set(_unpacked(folder / "sound", folder / "sound_frames"))
            assert len(self._sound) == 6, self._sound
        source = folder / "source"
        (source / "real_test").mkdir(parents=True)
        packed = rng.random() < 0.3
        data = damage(rng, self._zipped) if packed else gzip.compress(self._damaged(rng), 1, mtime=0)
        (source / "real_test" / "7.tar.gz").write_bytes(data)

        def use() -> None:
            found = _unpacked(source, folder / "frames")
            # The checksum covers every byte of a picture.
            if packed and not set(found) <= self._sound:
                raise Wrong("a changed archive gives other pictures")

        return Case(use, ("7.tar.gz",))

    def _damaged(self, rng: random.Random) -> bytes:
        if rng.random() < 0.35:
            return damage(rng, self._tar)
        blocks = bytearray(self._tar)
        headers = [
            place for place in range(0, len(blocks), _BLOCK) if blocks[place + 257 : place + 262] == b"ustar"
        ]
        for _ in range(rng.randint(1, 2)):
            place = rng.choice(headers)
            _set_field(rng, blocks, place)
            total = sum(blocks[place : place + 148]) + 8 * 32 + sum(blocks[place + 156 : place + _BLOCK])
            blocks[place + 148 : place + 156] = f"{total:06o}\0 ".encode()
        return bytes(blocks)


def _set_field(rng: random.Random, blocks: bytearray, place: int) -> None:
    """Change a field of a header: name, size, kind, link, or one byte of it; or what an extended header says."""
    match rng.randrange(6):
        case 0:
            blocks[place : place + 100] = rng.choice(_NAMES).encode()[:100].ljust(100, b"\0")
        case 1:
            blocks[place + 124 : place + 136] = f"{rng.choice(_SIZES):011o}\0".encode()
        case 2:
            blocks[place + 156] = rng.choice(b"01234567gxLKSVDMN\0?")
        case 3:
            blocks[place + 157 : place + 257] = rng.choice(_NAMES).encode()[:100].ljust(100, b"\0")
        case 4:
            blocks[place + rng.randrange(_BLOCK)] = rng.randrange(256)
        case _:
            start = blocks.find(b"comment=")
            keys = (b"path=../", b"size=9999", b"GNU.sparse.map=1,2\n", b"linkpath=/", b"hdrcharset=BINARY")
            key = rng.choice(keys)
            blocks[start : start + len(key)] = key


def _unpacked(source: Path, out: Path) -> list[str]:
    """Unpack all sequences as a build does, and return the digests of the frames."""
    listing = list_videos(source)
    check_listing(listing, source)
    digests = []
    for number, item in enumerate(listing.items):
        folder = out / str(number)
        folder.mkdir(parents=True)
        for frame in sorted(write_frames(item, folder).iterdir()):
            image = cv2.imread(str(frame))
            if image is None or image.dtype != np.uint8:
                raise Wrong(f"{frame} is no picture")
            digests.append(hashlib.sha256(image.tobytes()).hexdigest())
    return digests
