"""A built dataset belongs to the videos that it was built from."""

import json
import os
import shutil
from pathlib import Path

import pytest

from fakedetect_jax.data.index import load_index
from fakedetect_jax.data.records import DamagedDataset
from fakedetect_jax.data_builders.engine import build as build_module
from fakedetect_jax.data_builders.engine import one_video
from fakedetect_jax.data_builders.engine.build import build, check
from fakedetect_jax.data_builders.engine.inputs import OtherSource
from fakedetect_jax.data_builders.engine.source_files import SourceError, file_state
from fakedetect_jax.faces import Extraction, FrameChoice
from tests.tiny_dataset import IN_THIS_PROCESS

SMALL = Extraction(size=64, frames=FrameChoice(count=1))


def put(clips, source: Path, *names: str) -> Path:
    clips.put("face", *(source / name for name in names))
    return source


def built(source, out):
    return build("video_folder", out, source=source, extraction=SMALL, workers=IN_THIS_PROCESS)


def videos(folder):
    return [entry.video_id for entry in load_index(folder, "test").entries]


@pytest.fixture(scope="module")
def source(tmp_path_factory, clips):
    return put(clips, tmp_path_factory.mktemp("a"), "real/a.mp4", "fake/m/b.mp4")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, source):
    return built(source, tmp_path_factory.mktemp("data"))[0]


@pytest.fixture
def again(tmp_path, source, dataset):
    """Copies of the source and of what was built from it, with the times of their files."""
    copied = shutil.copytree(source, tmp_path / "source")
    place = dataset.relative_to(dataset.parents[2])
    return copied, shutil.copytree(dataset, tmp_path / "data" / place).parents[2]


def test_the_report_names_the_source(dataset, source):
    report = json.loads((dataset / "build_report.json").read_text())
    assert (report["source"], report["news"]) == (str(source), f"built from {source}")
    assert len({video["state"] for video in report["videos"]}) == 2
    assert f"built from {source}\n" in (dataset / "build_report.txt").read_text()


def test_the_same_videos_are_there_already_wherever_they_are(again, source, monkeypatch):
    copied, data = again
    monkeypatch.setattr(one_video, "extract_faces", None)
    monkeypatch.chdir(copied.parent)
    for same in (source, copied, Path("source"), None):
        _, report = built(same, data)
        assert report["news"].startswith("already there")
    assert report["news"].endswith(f"built from {source}; no --source to compare with")


@pytest.mark.parametrize("change", ["other videos", "one changed"])
def test_another_source_is_refused_with_the_remedy(again, clips, source, change, tmp_path):
    copied, data = again
    if change == "other videos":
        shutil.rmtree(copied)
        put(clips, copied, "real/c.mp4", "fake/n/d.mp4")
    else:
        os.utime(copied / "real/a.mp4", ns=(0, 0))
    with pytest.raises(OtherSource) as caught:
        built(copied, data)
    said = str(caught.value)
    assert f"was built from {source}, not from {copied}; give another --out, or delete" in said
    assert not (data / ".unfinished").exists()


def test_a_source_that_is_gone_is_an_error_although_its_dataset_is_there(again):
    copied, data = again
    with pytest.raises(SourceError, match="nowhere: no such folder"):
        built(copied / "nowhere", data)


def test_changed_videos_are_built_anew_and_named(clips, tmp_path):
    source = put(clips, tmp_path / "source", "real/a.mp4", "real/b.mp4", "fake/m/b.mp4")
    folder, _ = built(source, tmp_path / "data")
    put(clips, source, "real/new.mp4")
    (source / "real/b.mp4").unlink()
    os.utime(source / "fake/m/b.mp4", ns=(0, 0))
    again, report = built(source, tmp_path / "data")
    assert again == folder
    assert report["news"] == (
        f"built anew from {source}, as its videos have changed: 1 added (real/real/new), 1 changed (m/fake/m/b), "
        "1 gone (real/real/b)"
    )
    assert report == json.loads((folder / "build_report.json").read_text())
    assert videos(folder) == ["real/a", "real/new", "fake/m/b"]
    assert built(source, tmp_path / "data")[1]["news"].startswith("already there")
    assert not (tmp_path / "data/.unfinished").exists()


def test_a_change_of_what_the_table_says_is_a_change(clips, tmp_path):
    source = put(clips, tmp_path / "source", "a.mp4", "b.mp4")
    (source / "videos.csv").write_text("path,label,identity\na.mp4,0,anna\nb.mp4,1,ben\n")
    built(source, tmp_path / "data")
    (source / "videos.csv").write_text("path,label,identity\na.mp4,0,anna\nb.mp4,1,carl\n")
    folder, report = built(source, tmp_path / "data")
    assert "0 added, 1 changed (fake/b), 0 gone" in report["news"]
    assert {entry.identity for entry in load_index(folder, "test").entries} == {"anna", "carl"}


@pytest.mark.parametrize("moment", ["_write_report", "_replace", "_check_records"])
def test_the_earlier_dataset_stays_until_the_new_one_is_done(again, source, monkeypatch, moment):
    copied, data = again
    report_of = {path: json.loads(path.read_text()) for path in data.rglob("build_report.json")}
    ((path, report),) = report_of.items()
    path.write_text(json.dumps(report | {"source": str(copied)}))
    os.utime(copied / "real/a.mp4", ns=(0, 0))

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build_module, moment, stop)
    with pytest.raises(KeyboardInterrupt):
        built(copied, data)
    monkeypatch.undo()
    assert json.loads(path.read_text())["news"] == report["news"]
    assert videos(path.parent) == ["real/a", "fake/m/b"]
    monkeypatch.setattr(one_video, "extract_faces", None)  # every video is in the journal
    _, renewed = built(copied, data)
    assert "1 changed (real/real/a)" in renewed["news"]
    assert not (data / ".unfinished").exists()


def test_a_report_without_its_input_is_damaged(again):
    copied, data = again
    (path,) = data.rglob("build_report.json")
    path.write_text(json.dumps({"summary": [], "videos": [{"method": "m", "video_id": "v"}]}))
    with pytest.raises(
        DamagedDataset, match=r"does not say what the dataset was built from; delete .* build again"
    ):
        built(copied, data)
    for content in ("{", "[1]", "3", "[" * 100_000):
        path.write_text(content)
        with pytest.raises(DamagedDataset, match=r"build_report\.json cannot be read.*delete .* build again"):
            built(copied, data)


def test_a_folder_without_a_report_is_not_overwritten(again):
    copied, data = again
    (path,) = data.rglob("build_report.json")
    path.unlink()
    with pytest.raises(DamagedDataset, match=r"has no build_report\.json.*delete it and build again"):
        built(copied, data)
    assert (path.parent / "dataset_info.json").exists()


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_the_earlier_dataset_comes_back_if_the_new_one_cannot_take_its_place(tmp_path, error, monkeypatch):
    folder, fresh, aside = (tmp_path / name for name in ("folder", "fresh", "aside"))
    for made in (folder, fresh):
        made.mkdir()
        (made / made.name).touch()
    rename = Path.rename

    def refuse(path, target):
        if path == fresh:
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(error):
        build_module._replace(folder, fresh, aside)
    assert (folder / "folder").exists()
    monkeypatch.undo()
    build_module._replace(folder, fresh, aside)
    assert (folder / "fresh").exists()


def test_a_video_that_changes_while_it_is_decoded_is_built_and_decoded_again_next_time(
    clips, tmp_path, monkeypatch
):
    source = put(clips, tmp_path / "source", "real/a.mp4")
    extract = one_video.extract_faces

    def touched(path, **options):
        os.utime(path, ns=(0, 0))
        return extract(path, **options)

    monkeypatch.setattr(one_video, "extract_faces", touched)
    built(source, tmp_path / "data")
    monkeypatch.undo()
    _, report = built(source, tmp_path / "data")
    assert "1 changed (real/real/a)" in report["news"]


def test_a_video_that_changes_between_two_starts_is_decoded_again(clips, tmp_path, monkeypatch):
    source = put(clips, tmp_path / "source", "real/a.mp4", "real/b.mp4", "real/c.mp4")
    decoded, stop_after = [], [2]
    extract = one_video.extract_faces

    def counted(path, **options):
        if len(decoded) in stop_after:
            raise KeyboardInterrupt
        decoded.append(path.name)
        return extract(path, **options)

    monkeypatch.setattr(one_video, "extract_faces", counted)
    with pytest.raises(KeyboardInterrupt):
        built(source, tmp_path / "data")
    os.utime(source / "real/a.mp4", ns=(0, 0))
    stop_after.clear()
    built(source, tmp_path / "data")
    assert decoded == ["a.mp4", "b.mp4", "a.mp4", "c.mp4"]


def test_the_state_of_a_folder_of_frames_is_that_of_its_frames(tmp_path):
    frame = tmp_path / "1.png"
    frame.write_bytes(b"a")
    states = [file_state(tmp_path)]
    (tmp_path / ".DS_Store").touch()
    assert file_state(tmp_path) == states[0]
    for change in (lambda: os.utime(frame, ns=(0, 0)), lambda: frame.rename(tmp_path / "2.png")):
        change()
        states.append(file_state(tmp_path))
    (tmp_path / "3.png").symlink_to("nowhere")
    states.append(file_state(tmp_path))
    assert len(set(states)) == 4
    assert file_state(tmp_path / "none") == file_state(tmp_path / ("x" * 300)) == ""


def test_check_and_build_list_the_same(again):
    copied, data = again
    (copied / "real/notes.txt").touch()
    (copied / "fake/m/empty").mkdir()
    listing = check("video_folder", source=copied)
    _, report = built(copied, data)
    assert report["news"].startswith("already there")
    assert report["notes"] == listing.notes
    assert len(listing.notes) == 3
    assert [video["video_id"] for video in report["videos"]] == [item.video_id for item in listing.items]
