"""The page of a built dataset is complete, escaped and self-contained; the choice of its tracks."""

import dataclasses
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from fakedetect_jax.cli import main as cli
from fakedetect_jax.data.index import DatasetNotBuilt
from fakedetect_jax.data_builders.engine.build import prepare
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem
from fakedetect_jax.inspection import contact_sheet, survey
from fakedetect_jax.inspection.contact_sheet import generalise, group_reasons
from fakedetect_jax.inspection.distribution import BINS, distribution
from fakedetect_jax.inspection.quality import MEASURES, Quality
from fakedetect_jax.inspection.strip import TILE, draw_landmarks
from fakedetect_jax.inspection.survey import Measured, Survey, sample, worst
from tests.conftest import make_videos
from tests.tiny_dataset import BROKEN, FACE, IN_THIS_PROCESS, TinyFaces

EVIL = "<script>alert(1)<script>&"
CONFIDENCE, SIZE, JITTER, SHARPNESS = MEASURES


class OddFaces(TinyFaces):
    """A dataset with markup as ids, more failures than the page names, and `cut`, a video whose end is missing."""

    cut: ClassVar[Path]

    def listing(self):
        faces = [VideoItem(f"{EVIL}{number}", "train", "real", FACE, f"p{number}") for number in range(2)]
        fake = [VideoItem("fake0", "test", "swap", FACE, "p9")]
        broken = [VideoItem(f"broken{number}", "test", "real", BROKEN, f"q{number}") for number in range(23)]
        cut = VideoItem("cut", "train", "real", self.cut, "p8")
        return Listing([*faces, *fake, *broken, cut])


class Page(HTMLParser):
    """Collects tags with attributes, checks that they nest, and keeps the text."""

    VOID = frozenset({"meta", "img", "rect", "line"})

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.pieces = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.pieces.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.pieces).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def odd_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    OddFaces.cut = folder / "cut.mp4"
    OddFaces.cut.write_bytes(FACE.read_bytes()[: FACE.stat().st_size * 3 // 4])
    prepare(OddFaces(data_dir=folder), workers=IN_THIS_PROCESS)
    return folder


def page_of(data, dataset, out, **options):
    path = contact_sheet.write_contact_sheet(data, dataset, out / "page.html", **options)
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("tracks", [1, 6])
def test_every_method_and_every_measure_has_its_strips(tiny_data, tmp_path, tracks):
    page = page_of(tiny_data, "tiny_faces", tmp_path, tracks=tracks)
    sampled = sum(min(tracks, there) for there in (2, 1, 2, 2))
    assert len(page.all("img")) == sampled + 4 * min(tracks, 7)
    assert len([row for row in page.all("svg") if row["class"] == "histogram fake"]) == 4
    for measure in MEASURES:
        assert measure.definition in page.text
    assert "all 7 main tracks; seed 0" in page.text


def test_strips_say_what_they_show(tiny_data, tmp_path):
    text = page_of(tiny_data, "tiny_faces", tmp_path).text
    entries = Survey(contact_sheet.dataset_folder(tiny_data, "tiny_faces")).entries
    assert {entry.label for entry in entries} == {0, 1}
    for entry in entries:
        kind = f"fake by {entry.method}" if entry.label else "real"
        caption = (
            f"{kind} · {entry.split} track 0, {entry.frames} frames (0 to 23) {entry.video_id} confidence"
        )
        assert caption in text


def test_counts_and_metadata_are_the_builds(tiny_data, tmp_path):
    page = page_of(tiny_data, "tiny_faces", tmp_path)
    assert "test swap 3 1 0 2 48 48 0" in page.text
    assert "all 9 2 7 168 168 0" in page.text
    assert "Version 1.0.0" in page.text
    assert "size 256, margin 0.3, quality 95" in page.text
    assert "face crops no" in page.text
    assert "Missed: seen frames without the main person" in page.text
    assert "2 × VideoError" in page.text
    assert "train/real/train2_real" in page.text


def test_nothing_is_injected_or_fetched(odd_data, tmp_path):
    page = page_of(odd_data, "odd_faces", tmp_path)
    assert not page.all("script") + page.all("link") + page.all("iframe")
    assert f"{EVIL}0" in page.text
    assert any(EVIL in image["alt"] for image in page.all("img"))
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset"):
            assert attributes.get(name, "data:image/").startswith("data:image/")
    assert not re.search(r"url\(|@import|https?:", (tmp_path / "page.html").read_text())


def test_many_failures_are_counted_and_the_first_are_named(odd_data, tmp_path):
    text = page_of(odd_data, "odd_faces", tmp_path).text
    assert "23 × VideoError: …: not a video" in text
    assert "test/real/broken19" in text
    assert "test/real/broken20" not in text
    assert "and 3 more" in text
    assert "0 of 0 main tracks" in text


def test_damaged_videos_are_named_with_what_of_them_was_decoded(odd_data, tiny_data, tmp_path):
    text = page_of(odd_data, "odd_faces", tmp_path).text
    assert re.search(
        r"Damaged videos.*1 × decoded N of N frames; the file ends too early.*train/real/cut", text, re.S
    )
    assert "Damaged videos" not in page_of(tiny_data, "tiny_faces", tmp_path).text


def test_a_large_dataset_is_measured_in_part_and_the_page_says_so(tiny_data, tmp_path, monkeypatch):
    read = []
    measure = survey.measure
    monkeypatch.setattr(survey, "measure", lambda record: read.append(1) or measure(record))
    page = page_of(tiny_data, "tiny_faces", tmp_path, tracks=1, measured=3)
    assert "3 of 7 main tracks, drawn at random" in page.text
    assert len(read) <= 3 + 4 + 4
    figures = Survey(contact_sheet.dataset_folder(tiny_data, "tiny_faces")).measure(at_most=3, seed=0)
    assert len({track.entry for track in figures}) == 3


def test_other_faces_of_a_video_are_left_out(tiny_data, monkeypatch):
    load = survey.load_index

    def with_one_bystander(folder, split):
        index = load(folder, split)
        first, *others = index.entries
        return index._replace(entries=[dataclasses.replace(first, main=False), *others])

    monkeypatch.setattr(survey, "load_index", with_one_bystander)
    entries = Survey(contact_sheet.dataset_folder(tiny_data, "tiny_faces")).entries
    assert [entry.split for entry in entries] == ["train", "test", "test", "test"]


def test_mistakes_are_named(tiny_data, tmp_path):
    with pytest.raises(DatasetNotBuilt, match="fakedetect build absent"):
        contact_sheet.write_contact_sheet(tiny_data, "absent", tmp_path / "page.html")
    with pytest.raises(ValueError, match="tracks=0"):
        contact_sheet.write_contact_sheet(tiny_data, "tiny_faces", tmp_path / "page.html", tracks=0)
    assert not (tmp_path / "page.html").exists()


def test_the_command_writes_the_page(tiny_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = [
        "fakedetect",
        "inspect",
        "tiny_faces",
        "--data",
        str(tiny_data),
        "--tracks",
        "1",
        "--seed",
        "3",
    ]
    monkeypatch.setattr(sys, "argv", command)
    cli.main()
    assert "seed 3" in (tmp_path / "tiny_faces.inspect.html").read_text()
    assert "tiny_faces.inspect.html" in capsys.readouterr().out


def test_the_same_seed_draws_the_same_tracks():
    entries = [video.about for video in make_videos([1] * 40).videos]
    drawn = sample(entries, 6, seed=0)
    assert len(set(drawn)) == 6
    assert drawn == sample(entries, 6, seed=0) == sorted(drawn, key=lambda entry: entry.first)
    assert drawn != sample(entries, 6, seed=1)
    assert sample(entries[:4], 6, seed=0) == entries[:4]


def test_worst_is_low_or_high_by_measure_and_known():
    entries = [video.about for video in make_videos([1, 1, 1]).videos]
    values = [(0.9, 80.0, float("nan"), 3.0), (0.5, 99.0, 0.2, 2.0), (0.7, 60.0, 0.1, float("nan"))]
    measured = [Measured(entry, Quality(*row)) for entry, row in zip(entries, values, strict=True)]

    def order(measure, count=3):
        return [entry.first for entry in worst(measured, measure, count)]

    assert order(CONFIDENCE) == [1, 2, 0]
    assert order(SIZE, 2) == [2, 0]
    assert order(JITTER) == [1, 2]
    assert order(SHARPNESS) == [1, 0]


def test_distribution_has_quartiles_and_counts_the_unknown():
    real = np.array([*range(101), np.nan])
    found = distribution({"real": real, "fake": np.array([51.0, 51.0])})
    assert found is not None
    assert found.classes["real"].quartiles == (25, 50, 75)
    assert (found.classes["real"].tracks, found.classes["real"].unknown) == (101, 1)
    fake = found.classes["fake"].bars
    assert sum(fake) == max(fake) == fake[BINS // 2] == 1
    assert found.place(-1e9) == 0
    assert found.place(1e9) == 1
    assert distribution({"real": np.array([np.nan])}) is None


def test_an_outlier_does_not_squeeze_the_histogram():
    found = distribution({"real": np.array([*np.linspace(0, 1, 999), 1e6])})
    assert found is not None
    assert found.high < 2
    assert sum(bar > 0.5 for bar in found.classes["real"].bars) == BINS


def test_reasons_lose_what_is_the_single_videos():
    one = generalise("VideoError: /data/a b/1.mp4: not a video (397 bytes); convert it to mp4")
    two = generalise("VideoError: /data/a b/2.mp4: not a video (4 bytes); convert it to mp4")
    assert one == two
    assert one.endswith("not a video (N bytes); convert it to mp4")


def test_failures_come_by_reason_the_most_common_first():
    row = {"split": "test", "method": "real"}
    videos = [
        row | {"video_id": name, "failure": failure}
        for name, failure in (("a", "x"), ("b", ""), ("c", "y"), ("d", "y"))
    ]
    assert group_reasons(videos, "failure") == [("y", ["test/real/c", "test/real/d"]), ("x", ["test/real/a"])]


@pytest.mark.parametrize("skin", [0, 128, 255])
def test_dots_are_seen_on_any_skin(skin):
    crop = np.full((2 * TILE, 2 * TILE, 3), skin, np.uint8)
    tile = draw_landmarks(crop, np.array([[100.5, 40.5], [np.nan, 3.0]], np.float32))
    assert tile.shape == (TILE, TILE, 3)
    near = tile[18:23, 48:53]
    assert int(near.max()) - int(near.min()) > 120
    changed = np.argwhere((tile != skin).any(axis=-1))
    np.testing.assert_allclose(changed.mean(axis=0), [20, 50], atol=0.5)


def test_tracks_without_consecutive_frames_leave_jitter_out(tiny_data, tmp_path, monkeypatch):
    measure = survey.measure

    def without_jitter(record):
        return measure(record)._replace(jitter=float("nan"))

    monkeypatch.setattr(survey, "measure", without_jitter)
    page = page_of(tiny_data, "tiny_faces", tmp_path, tracks=1)
    assert "No measured track has a value." in page.text
    assert len(page.all("img")) == 4 + 3
    assert "jitter –" in page.text
