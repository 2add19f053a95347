"""Videos of every container and codec, through the decoder."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import numpy as np

from fakedetect_jax.faces import FrameChoice, extract_faces
from fakedetect_jax.faces.frame import MAX_PIXELS, VideoError
from fakedetect_jax.faces.video import open_video
from tests.faces.encoding import add_sound, encode, moving_scene
from tests.fuzz.byte_mutations import cut, damage, damage_near
from tests.fuzz.target import Case, Target, Wrong

COUNT = 12
_MOST_FRAMES = 5000

# Name: codec, pixel format, options of the codec, options of the container.
_KINDS: dict[str, tuple] = {
    "plain.mp4": ("libx264", "yuv420p"),
    "faststart.mp4": ("libx264", "yuv420p", {"bf": "3"}, {"movflags": "+faststart"}),
    "fragments.mp4": ("libx264", "yuv420p", {"g": "4"}, {"movflags": "frag_keyframe+empty_moov"}),
    "interlaced.mp4": ("libx264", "yuv420p", {"flags": "+ildct+ilme", "x264-params": "tff=1"}),
    "hevc.mp4": ("libx265", "yuv420p10le"),
    "mpeg4.mp4": ("mpeg4", "yuv420p"),
    "plain.mov": ("prores_ks", "yuv422p10le"),
    "plain.mkv": ("libx264", "yuv444p", {"g": "6"}),
    "lossless.mkv": ("ffv1", "yuv420p"),
    "vp8.webm": ("libvpx", "yuv420p"),
    "vp9.webm": ("libvpx-vp9", "yuva420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p", {"bf": "2"}),
    "mjpeg.avi": ("mjpeg", "yuvj422p"),
    "plain.ts": ("libx264", "yuv420p", {"g": "6"}),
    "plain.mts": ("libx264", "yuv420p", {}, {}, "mpegts"),
    "plain.mpg": ("mpeg2video", "yuv420p"),
    "plain.vob": ("mpeg2video", "yuv420p"),
    "plain.wmv": ("wmv2", "yuv420p"),
    "plain.flv": ("flv", "yuv420p"),
    "plain.3gp": ("libx264", "yuv420p"),
    "plain.gif": ("gif", "rgb8"),
    "plain.avif": ("libsvtav1", "yuv420p"),
    "raw.h264": ("libx264", "yuv420p"),
    "raw.hevc": ("libx265", "yuv420p"),
    "raw.m2v": ("mpeg2video", "yuv420p"),
    "plain.mxf": ("mpeg2video", "yuv420p"),
    "plain.ogv": ("libvpx", "yuv420p"),
}
# Their parts state their sizes, so that a missing end can be known.
_SIZED = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".3gp")
_PARTS = (
    *(
        b"ftyp",
        b"moov",
        b"mvhd",
        b"trak",
        b"tkhd",
        b"edts",
        b"elst",
        b"mdhd",
        b"hdlr",
        b"stsd",
        b"avc1",
        b"avcC",
    ),
    *(
        b"hvcC",
        b"colr",
        b"pasp",
        b"stts",
        b"ctts",
        b"stsc",
        b"stsz",
        b"stco",
        b"stss",
        b"moof",
        b"tfhd",
        b"trun",
    ),
    *(b"mdat", b"RIFF", b"avih", b"strh", b"strf", b"movi", b"idx1", b"00dc", b"\x1a\x45\xdf\xa3"),
    *(b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75", b"\x16\x54\xae\x6b", b"\x1c\x53\xbb\x6b", b"\xa3", b"\xe0"),
    *(
        b"GIF89a",
        b"\x21\xf9\x04",
        b"FLV",
        b"onMetaData",
        b"OggS",
        b"\x47\x40",
        b"\0\0\1",
        b"\0\0\0\1",
        b"\xff\xd8",
    ),
)


class Videos(Target):
    """Frames come in order of time and end; a file that breaks off says so; two readings are the same."""

    errors = (VideoError,)

    def prepare(self) -> None:
        scene = moving_scene(COUNT, 64, 96)
        for name, kind in _KINDS.items():
            codec, pixels, options, container_options, container = (*kind, *(None,) * (5 - len(kind)))
            encode(
                self.corpus / name,
                scene,
                codec,
                pixels,
                options=options,
                container_options=container_options,
                container=container,
            )
        add_sound(self.corpus / "sound.mp4", self.corpus / "plain.mp4", 0.5)
        add_sound(self.corpus / "sound.mkv", self.corpus / "plain.mkv", 0.5)
        quarter = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
        encode(self.corpus / "turned.mov", scene, display_matrix=quarter)
        encode(self.corpus / "hdr.mp4", scene, "libx265", "yuv420p10le", color_trc=18, colorspace=9)
        counts = {path.name: len(list(open_video(path).frames)) for path in sorted(self.corpus.iterdir())}
        (self.corpus / "counts.json").write_text(json.dumps(counts))

    def load(self) -> None:
        self._counts: dict[str, int] = json.loads((self.corpus / "counts.json").read_text())
        assert all(count >= COUNT - 1 for count in self._counts.values()), self._counts
        self._data = {name: (self.corpus / name).read_bytes() for name in self._counts}

    def case(self, rng: random.Random, folder: Path) -> Case:
        name = rng.choice(list(self._data))
        data, others = self._data[name], list(self._data.values())
        how = rng.random()
        if how < 0.1:
            changed = cut(rng, data)
        elif how < 0.45:
            changed = damage_near(rng, data, _PARTS)
        else:
            changed = damage(rng, data, others)
        suffix = rng.choice(list(self._data)) if rng.random() < 0.05 else name
        path = folder / f"input{Path(suffix).suffix}"
        path.write_bytes(changed)
        must_tell = how < 0.1 and Path(name).suffix in _SIZED
        again, spread = rng.random() < 0.25, rng.random() < 0.05

        def use() -> str:
            if spread:
                self._extracted(path)
            first, told = self._decoded(path)
            missing = len(first) < self._counts[name] and not told
            if missing and must_tell:
                raise Wrong(f"{len(first)} of {self._counts[name]} frames, and no word of damage")
            if again and self._decoded(path)[0] != first:
                raise Wrong("a second reading gives other frames")
            return "fewer frames than in the sound video, and no word of damage" if missing else ""

        return Case(use, (path.name,))

    def _extracted(self, path: Path) -> None:
        """Look for faces in four frames of a video, for which its length is asked."""
        faces = extract_faces(path, frames=FrameChoice(count=4))
        if not 0 < faces.decoded <= _MOST_FRAMES:
            raise Wrong(f"{faces.decoded} frames decoded, and no error")

    def _decoded(self, path: Path) -> tuple[list[str], str]:
        """Decode a video; return the digests of its frames, and what it says of its damage."""
        video = open_video(path)
        length = video.length()
        digests, previous = [], -1.0
        for frame in video.frames:
            image = frame.image
            if image.dtype != np.uint8 or image.ndim != 3 or not 0 < image.size <= 3 * MAX_PIXELS:
                raise Wrong(f"a picture {image.dtype}{image.shape}")
            if not previous < frame.timestamp < 1e9:
                raise Wrong(f"the time {frame.timestamp} follows {previous}")
            previous = frame.timestamp
            digests.append(hashlib.sha256(np.ascontiguousarray(image)).hexdigest())
            if len(digests) > _MOST_FRAMES:
                raise Wrong("a small file has frames without end")
        if video.decoded != len(digests):
            raise Wrong(f"{video.decoded} decoded frames are stated, {len(digests)} came")
        if length < 0 or not digests:
            raise Wrong(f"{len(digests)} of {length} frames, and no error")
        if len(video.damage) > 1000:
            raise Wrong(f"{len(video.damage)} characters on the damage")
        return digests, video.damage
