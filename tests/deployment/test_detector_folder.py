"""The folder of a detector: whole or not at all, and refused when anything in it was changed."""

import errno
import functools
import json
import random
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from fakedetect_jax import models
from fakedetect_jax.deployment import export
from fakedetect_jax.deployment.detector_folder import DIGESTED, FORMAT, DetectorError
from fakedetect_jax.deployment.inference import load_detector
from fakedetect_jax.digests import write_digests
from fakedetect_jax.errors import FakedetectError
from tests.bit_flips import with_a_flipped_bit
from tests.tiny_detector import write_tiny_detector


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "detector"
    write_tiny_detector(folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "detector")


def seal(folder):
    """Makes the digests those of the files as they are."""
    write_digests(folder, {name: folder / name for name in DIGESTED})


def test_it_can_be_read_and_its_card_may_be_edited(folder):
    (folder / "README.md").write_text("Mine.")
    assert load_detector(folder).spec["format"] == FORMAT


def flip(path):
    path.write_bytes(with_a_flipped_bit(path.read_bytes(), random.Random(path.name)))


def folder_of_that_name(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        flip,
        folder_of_that_name,
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(bytes(path.stat().st_size)),
    ],
)
@pytest.mark.parametrize("name", [*DIGESTED, "sha256.json"])
def test_a_damaged_file_is_named_with_the_remedy(folder, name, spoil):
    spoil(folder / name)
    with pytest.raises(DetectorError, match=rf"(?s){folder}.*`fakedetect export`") as error:
        load_detector(folder)
    assert name in str(error.value) or name == "sha256.json"


def test_digests_of_other_files_are_not_enough(folder):
    write_digests(folder, {name: folder / name for name in ("README.md", "detector.json")})
    with pytest.raises(DetectorError, match=r"sha256\.json lacks weights\.safetensors"):
        load_detector(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("detector.json", b"{", "cannot be read"),
        ("detector.json", b"[" * 10**5, "cannot be read"),
        ("detector.json", b"[]", r"format \[\], this version reads"),
        (
            "detector.json",
            b'{"format": "\\ud800\\u001b[2J"}',
            r"format '\\ud800\\x1b\[2J', this version reads",
        ),
        ("detector.json", b'{"format": 99}', f"format 99, this version reads {FORMAT}"),
        ("weights.safetensors", b"PK" * 50, "the detector is damaged"),
    ],
)
def test_what_is_no_detector_is_refused_by_file(folder, name, content, message):
    (folder / name).write_bytes(content)
    seal(folder)
    with pytest.raises(DetectorError, match=message):
        load_detector(folder)


def test_weights_of_another_model_are_refused(folder):
    save_file({"a": np.zeros(2, np.float32)}, folder / "weights.safetensors")
    seal(folder)
    with pytest.raises(DetectorError, match="weights do not fit"):
        load_detector(folder)


@pytest.mark.parametrize("place", ["nowhere", "detector.json/below"])
def test_where_there_is_no_detector_the_remedy_is_to_make_one(folder, place):
    with pytest.raises(DetectorError, match=r"holds no detector: detector\.json is missing; make one with"):
        load_detector(folder / place)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clip.stride", 0),
        ("clip.stride", float("nan")),
        ("clip.interval", -1.0),
        ("clip.frames", 10**9),
        ("clip.frames", "8"),
        ("clip.size", 10**6),
        ("clip.margin", float("nan")),
        ("clip.margin", "x"),
        ("clip.extraction", []),
        ("clip.extraction.size", 0.5),
        ("clip.extraction.margin", float("inf")),
        ("clip", None),
        ("model", []),
        ("model.name", 3),
        ("model.options.spatial.depths", [10**9, 1]),
        ("model.options.spatial.dims", [8, -16]),
        ("model.options.spatial.dims", functools.reduce(lambda inner, _: [inner], range(600), 8)),
        ("trained", None),
        ("trained.people", None),
        ("trained.people", [3]),
        ("trained.config", None),
        ("trained.config", {}),
    ],
)
def test_a_field_of_the_detector_that_makes_no_sense_is_named(folder, field, value):
    spec = json.loads((folder / "detector.json").read_text())
    *path, last = field.split(".")
    node = spec
    for name in path:
        node = node[name]
    for change in (lambda: node.update({last: value}), lambda: node.pop(last)):
        change()
        (folder / "detector.json").write_text(json.dumps(spec))
        seal(folder)
        with pytest.raises(DetectorError, match=r"detector\.json: "):
            load_detector(folder)


def test_a_bug_in_a_model_is_no_fault_of_the_detector(folder, monkeypatch):
    def create(name, **options):
        raise RuntimeError("a bug")

    monkeypatch.setattr(models, "create", create)
    with pytest.raises(RuntimeError, match="a bug"):
        load_detector(folder)


class Full(OSError):
    def __init__(self):
        super().__init__(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["write_tensors", "write_bytes", "write_text", "write_digests"])
def test_a_full_disk_leaves_the_detector_that_was_there_and_nothing_else(folder, name, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_, **__):
        raise Full

    monkeypatch.setattr(export, "stablehlo", lambda *_: b"")
    monkeypatch.setattr(export, name, full)
    with pytest.raises(Full):
        write_tiny_detector(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["detector"]


def test_what_a_killed_export_left_is_removed_and_an_old_detector_comes_back(folder, monkeypatch):
    def full(*_, **__):
        raise Full

    folder.rename(folder.with_name("detector.old"))
    folder.with_name("detector.partial").mkdir()
    monkeypatch.setattr(export, "write_tensors", full)
    with pytest.raises(Full):
        write_tiny_detector(folder)
    load_detector(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["detector"]


@pytest.mark.parametrize("name", ["detector", "detector.partial", "detector.old"])
def test_a_file_of_a_folders_name_is_left_alone(name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FakedetectError, match=f"{name} is a file, and an export needs a folder of that name"):
        write_tiny_detector(tmp_path / "detector")
    assert (tmp_path / name).read_text() == "mine"
