"""What a build tells of its videos."""

import json
import re
import shutil
import struct
import zlib

import cv2
import pytest

from fakedetect_jax.data_builders.engine.build import build
from fakedetect_jax.data_builders.engine.report import describe_build
from fakedetect_jax.data_builders.engine.workers import Workers
from fakedetect_jax.faces import Extraction
from fakedetect_jax.faces.video import open_video
from tests.tiny_dataset import FACE


def png_that_states(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    whole, broken, huge = (root / "source/real" / name for name in ("whole", "broken", "huge"))
    for folder in (whole, broken, huge):
        folder.mkdir(parents=True)
    for number, frame in enumerate(open_video(FACE, max_frames=3).frames):
        cv2.imwrite(str(whole / f"{number}.png"), frame.image)
    shutil.copytree(whole, broken, dirs_exist_ok=True)
    (broken / "3.png").write_bytes(b"")
    (huge / "0.png").write_bytes(png_that_states(60_000, 60_000))
    (root / "source/real/notes.doc").touch()
    options = {"extraction": Extraction(size=64), "workers": Workers(processes=0)}
    return build("video_folder", root / "data", source=root / "source", **options)


def test_what_could_not_be_decoded_is_counted_and_named(made):
    folder, report = made
    rows = {video["video_id"]: video for video in report["videos"]}
    assert {name: row["tracks"] for name, row in rows.items()} == {
        "real/broken": 1,
        "real/huge": 0,
        "real/whole": 1,
    }
    assert rows["real/whole"]["damage"] == ""
    assert rows["real/broken"]["damage"].startswith("1 of 4 images cannot be decoded")
    assert re.search(r"0\.png: .*(60000 x 60000|3600000000) pixels", rows["real/huge"]["failure"])
    (row,) = report["summary"]
    assert (row["videos"], row["failed"], row["damaged"]) == (3, 1, 1)
    text = (folder / "build_report.txt").read_text(encoding="utf-8")
    assert text == describe_build(report) + "\n"
    assert "\ndamaged: test/real/real/broken: 1 of 4 images" in text
    assert "\nfailed: test/real/real/huge: VideoError: " in text


def test_what_was_left_out_is_in_the_report_and_in_its_text(made):
    folder, report = made
    left_out = "Left out, as the suffix is no video's (.doc: 1): real/notes.doc."
    assert left_out in json.loads((folder / "build_report.json").read_text())["notes"]
    assert f"\nnote: {left_out}\n" in (folder / "build_report.txt").read_text(encoding="utf-8")
    assert f"note: {left_out}" in describe_build(report)
