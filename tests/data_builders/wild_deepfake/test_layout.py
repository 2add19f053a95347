"""Small downloads in WildDeepfake's official layout: which sequences are found, and in which split."""

import io
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data_builders.engine.build import create_builder
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.wild_deepfake.layout import find_archives, list_videos, sequence_names
from fakedetect_jax.data_builders.wild_deepfake.sequences import write_frames
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction, VideoError


def make_archive(path: Path, names: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return path


@pytest.fixture
def download(tmp_path):
    root = tmp_path / "deepfake_in_the_wild"
    for kind in ("real", "fake"):
        for number in range(10):
            make_archive(
                root / f"{kind}_train" / f"{number}.tar.gz",
                [f"./{number}/{kind}/{sequence}/{frame}.png" for sequence in (3, 12) for frame in (9, 10)],
            )
        make_archive(root / f"{kind}_test" / "0.tar.gz", [f"./0/{kind}/5/77.png"])
    return tmp_path


def test_the_sequences_of_a_download(download):
    listing = list_videos(download)
    items = {item.key: item for item in listing.items}
    assert len(listing.items) == len(items) == 2 * (10 * 2 + 1)
    item = items["fake/train-7-12"]
    assert (item.label, item.identity, item.source_identity) == (1, "fake-train-7", "")
    assert item.source.archive == download / "deepfake_in_the_wild" / "fake_train" / "7.tar.gz"
    assert item.source.folder == "7/fake/12"
    assert items["real/test-0-5"].split == "test"
    assert (
        items["real/test-0-5"].identity != items["fake/test-0-5"].identity != items["fake/train-0-3"].identity
    )
    assert listing.published == {("test", "real"): 396, ("test", "fake"): 410}
    assert list_videos(download / "deepfake_in_the_wild") == listing


def test_whole_archives_of_both_kinds_validate(download):
    listing = list_videos(download)
    counts = Counter((item.split, item.method) for item in listing.items)
    assert counts == {
        **{
            (split, kind): count
            for split, count in (("train", 18), ("validation", 2))
            for kind in ("real", "fake")
        },
        **{("test", kind): 1 for kind in ("real", "fake")},
    }
    splits = {item.identity: set() for item in listing.items}
    for item in listing.items:
        splits[item.identity].add(item.split)
    assert all(len(found) == 1 for found in splits.values())
    assert sum("1 of 10 archives" in note for note in listing.notes) == 2


def test_archives_and_spellings(tmp_path):
    for number in (10, 9, 100):
        make_archive(tmp_path / "real test" / f"{number}.tar.gz", [f"{number}/1/1.png"])
    (tmp_path / "real test" / "readme.txt").touch()
    assert [path.name for path in find_archives(tmp_path, "real", "test")] == [
        "9.tar.gz",
        "10.tar.gz",
        "100.tar.gz",
    ]
    listing = list_videos(tmp_path)
    assert [item.video_id for item in listing.items] == ["test-9-1", "test-10-1", "test-100-1"]
    assert sum("is missing, or holds no archive" in note for note in listing.notes) == 3
    (tmp_path / "real_test").mkdir()
    with pytest.raises(SourceError, match="real test"):
        list_videos(tmp_path)


def test_a_second_border_is_refused(tmp_path):
    with pytest.raises(
        FakedetectError, match=r"wild_deepfake: --face-crops .*second border.*leave the option out"
    ):
        create_builder("wild_deepfake", tmp_path, extraction=Extraction(face_crops=True))


def test_one_training_archive_is_not_cut(tmp_path):
    make_archive(tmp_path / "fake_train" / "0.tar.gz", ["0/fake/1/1.png"])
    listing = list_videos(tmp_path)
    assert [item.split for item in listing.items] == ["train"]
    assert any("fake_train holds one archive" in note for note in listing.notes)


def test_a_damaged_archive_is_one_item_that_fails_later(download):
    archive = download / "deepfake_in_the_wild" / "fake_test" / "0.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-12])
    listing = list_videos(download)
    (item,) = [item for item in listing.items if item.method == "fake" and item.split == "test"]
    assert item.video_id == "test-0-unreadable"
    assert any("fake_test/0.tar.gz cannot be read" in note for note in listing.notes)
    with pytest.raises(VideoError, match=r"0\.tar\.gz.*damaged"):
        write_frames(item, download)


def test_an_archive_without_images_fails_later_too(tmp_path):
    make_archive(tmp_path / "real_test" / "4.tar.gz", ["4/real/1/list.txt"])
    (item,) = list_videos(tmp_path).items
    with pytest.raises(VideoError, match=r"4\.tar\.gz.*no image"):
        write_frames(item, tmp_path)


def test_an_archive_that_leads_outside_stops_the_listing(tmp_path):
    make_archive(tmp_path / "real_test" / "4.tar.gz", ["4/real/1/1.png", "../../evil.png"])
    with pytest.raises(SourceError, match=r"4\.tar\.gz.*evil\.png"):
        list_videos(tmp_path)


def test_a_folder_of_the_other_kind_is_noted(tmp_path):
    make_archive(tmp_path / "fake_test" / "4.tar.gz", ["4/fake/1/1.png", "4/real/2/1.png"])
    listing = list_videos(tmp_path)
    assert {item.method for item in listing.items} == {"fake"}
    assert any("1 sequences" in note and "4/real/2" in note for note in listing.notes)


def test_nothing_there_and_unpacked_archives(tmp_path):
    (tmp_path / "real_train" / "0" / "real").mkdir(parents=True)
    with pytest.raises(SourceError, match="left packed"):
        list_videos(tmp_path)


@given(st.lists(st.lists(st.sampled_from(["a", "b", "1", "-"]), min_size=1, max_size=3), unique_by=tuple))
def test_names_of_sequences_are_distinct(paths):
    folders = ["/".join(parts) for parts in paths]
    names = sequence_names(folders)
    assert len(set(names)) == len(names) == len(folders)
    assert all(folder.endswith(name) for folder, name in zip(folders, names, strict=True))
