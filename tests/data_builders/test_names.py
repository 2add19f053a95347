"""Videos with names that no one would choose: each is built or fails by its name, and no output stumbles over it."""

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

import cv2
import pytest

from fakedetect_jax.cli import main as cli
from fakedetect_jax.data.index import dataset_folder, load_index, open_split
from fakedetect_jax.data_builders.engine.file_names import as_text, is_clutter, listed
from fakedetect_jax.faces.video import open_video
from tests.tiny_dataset import FACE

DATASET = "video_folder/spread1-size64"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
NAMES = [
    *("a:b", "2024-05-01T12:30:05", "cost $5_vs_$10", "10\u00b2", "new\nline", "quo\"te's", "<b>&amp;{{x}}"),
    *("back\\slash", "\u00e9 composed", "e\u0301 decomposed", "case", "Case", "\u202ebidi", "x" * 251),
    *("r\r\tn\x1b[2J", "-v", "~", "%s"),
]
BYTES = b"caf\xe9"


def frames_in(folder: bytes | str) -> None:
    """Make a folder of one frame. It fails where the file system refuses the name, as some do those of other bytes."""
    os.makedirs(folder)
    image = next(iter(open_video(FACE, max_frames=1).frames)).image
    data = cv2.imencode(".jpg", image)[1].tobytes()
    with open(
        os.path.join(folder, os.fsencode("1.jpg") if isinstance(folder, bytes) else "1.jpg"), "wb"
    ) as file:
        file.write(data)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A build from the command line: its folder, the names on disk, and its screen."""
    root = tmp_path_factory.mktemp("names")
    source, data = root / "source", root / "data"
    odd = 0
    for name in NAMES:
        (source / "real").mkdir(parents=True, exist_ok=True)
        # A file system may take two of the names for one.
        with contextlib.suppress(FileExistsError):
            frames_in(str(source / "real" / name))
    for below in (b"real", b"fake/" + BYTES):
        folder = os.fsencode(source) + b"/" + below
        # A file system may take UTF-8 only.
        with contextlib.suppress(OSError):
            frames_in(folder + b"/" + BYTES)
            shutil.copy(os.fsencode(FACE), folder + b"/a:" + BYTES + b".mp4")
            with open(folder + b"/lfs" + BYTES + b".mp4", "wb") as file:
                file.write(POINTER)
            odd += 1
    arguments = ["fakedetect", "build", "video_folder", "--source", str(source), "--out", str(data)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*arguments, "--workers", "0", "--count", "1", "--size", "64"])
        cli.main()
    return source, data, odd


def test_every_video_is_built_or_fails_by_its_name(made):
    source, data, odd = made
    folder = dataset_folder(data, DATASET)
    report = json.loads((folder / "build_report.json").read_text(encoding="utf-8"))
    on_disk = [os.path.join(where, name) for where, below, names in os.walk(source) for name in below + names]
    expected = len([path for path in on_disk if path.endswith((".jpg", ".mp4"))])
    assert len(report["videos"]) == len({video["video_id"] for video in report["videos"]}) == expected
    failed = {video["video_id"]: video["failure"] for video in report["videos"] if video["failure"]}
    assert len(failed) == odd
    for name, reason in failed.items():
        assert name.endswith(r"lfscaf\xe9")
        assert r"lfscaf\xe9.mp4: is a Git LFS pointer" in reason
    text = (folder / "build_report.txt").read_text(encoding="utf-8")
    assert all(name in text for name in failed)
    assert all(line.isprintable() for line in text.splitlines())


def test_records_have_the_names(made):
    _, data, _ = made
    folder = dataset_folder(data, DATASET)
    report = json.loads((folder / "build_report.json").read_text(encoding="utf-8"))
    wanted = [video["video_id"] for video in report["videos"] if not video["failure"]]
    assert [entry.video_id for entry in load_index(folder, "test").entries] == wanted
    assert [record["video_id"].decode() for record in open_split(folder, "test")] == wanted
    assert {"real/a:b", "real/new\\nline", "real/10\u00b2", "real/" + "x" * 251} <= set(wanted)


def test_the_page_of_the_dataset_can_be_written(made, monkeypatch, tmp_path):
    _, data, odd = made
    out = tmp_path / "page.html"
    arguments = ["inspect", DATASET, "--data", str(data), "--out", str(out), "--tracks", "40"]
    monkeypatch.setattr(sys, "argv", ["fakedetect", *arguments])
    cli.main()
    page = out.read_text(encoding="utf-8")
    assert "real/a:b" in page
    assert "<b>&amp;{{x}}" not in page
    assert (r"caf\xe9" in page) == bool(odd)


def test_the_same_build_again_says_so(made, monkeypatch, capsys):
    source, data, _ = made
    arguments = [
        "build",
        "video_folder",
        "--source",
        str(source),
        "--out",
        str(data),
        "--count",
        "1",
        "--size",
        "64",
    ]
    monkeypatch.setattr(sys, "argv", ["fakedetect", *arguments])
    cli.main()
    said = capsys.readouterr().out
    assert "already there" in said
    assert "\x1b" not in said


def test_names_become_text_on_one_line():
    assert as_text("caf\udce9\n\x1b\u202f \u00e9") == "caf\\xe9\\n\\x1b\\u202f \u00e9"
    assert as_text("\ud800\U0001f600") == "\\ud800\U0001f600"
    assert as_text(Path("a/b")) == "a/b"
    assert listed(["a", "b\n"]) == "a, b\\n"
    assert listed(map(str, range(7))) == "0, 1, 2, 3, 4 and 2 more"


def test_clutter():
    clutter = [
        "._a.mp4",
        ".DS_Store",
        "Thumbs.db",
        "THUMBS.DB",
        "desktop.ini",
        "@eaDir",
        "__MACOSX",
        ".git",
        "Icon\r",
    ]
    assert all(map(is_clutter, clutter))
    assert not any(map(is_clutter, ["a.mp4", "thumbs.db.mp4", "_a", "eaDir", "Icon"]))
