"""Builds as users start them, stop them and start them again."""

import ctypes
import dataclasses
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from fakedetect_jax.data.index import DatasetNotBuilt, dataset_folder, load_index
from fakedetect_jax.data_builders.engine import one_video
from fakedetect_jax.data_builders.engine.build import (
    TooManyFailures,
    build,
    check,
    create_builder,
    names,
    prepare,
)
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.trouble import VideosUndone
from fakedetect_jax.data_builders.engine.video_item import Listing
from fakedetect_jax.data_builders.engine.workers import Workers
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction, FrameChoice
from tests.data_builders import slow_builds
from tests.tiny_dataset import FACE, IN_THIS_PROCESS, TinyFaces, build_tiny


def records(folder):
    """Return everything that a built version holds, by file."""
    files = [path for path in folder.iterdir() if "array_record" in path.name or "build_report" in path.name]
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(tiny_data):
    found = records(dataset_folder(tiny_data, "tiny_faces"))
    assert len(found) == 5
    return found


@pytest.mark.parametrize("finished", [1, 5])
def test_a_killed_build_goes_on_and_equals_an_uninterrupted_one(tmp_path, whole, finished):
    with slow_builds.started(tmp_path, seconds=0.2) as process:
        assert slow_builds.wait_for(lambda: slow_builds.finished_videos(tmp_path) >= finished)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert finished <= slow_builds.finished_videos(tmp_path) < 9

    folder = build_tiny(tmp_path)
    assert records(folder) == whole
    assert not (tmp_path / ".unfinished").exists()


def test_what_was_done_is_not_done_again(tmp_path, monkeypatch):
    calls = []
    extract = one_video.extract_faces

    def counted(path, **options):
        calls.append(path)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return extract(path, **options)

    monkeypatch.setattr(one_video, "extract_faces", counted)
    with pytest.raises(KeyboardInterrupt):
        build_tiny(tmp_path)
    build_tiny(tmp_path)
    assert len(calls) == 9 + 1
    build_tiny(tmp_path)
    assert len(calls) == 9 + 1


def test_two_processes_give_the_same_dataset(tmp_path, whole):
    folder, _ = prepare(TinyFaces(data_dir=tmp_path), workers=Workers(processes=2))
    assert records(folder) == whole


def test_beam_gives_the_same_dataset(tmp_path, whole):
    pytest.importorskip("apache_beam")
    folder, _ = prepare(TinyFaces(data_dir=tmp_path), workers=Workers(processes=2, runner="direct"))
    assert records(folder) == whole


def test_an_unknown_runner_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"runner 'slurm'.*dataflow"):
        prepare(TinyFaces(data_dir=tmp_path), workers=Workers(runner="slurm"))


class Deadly(TinyFaces):
    """One video crashes its decoder, one hangs it, and something ends the process of a third."""

    def listing(self):
        return Listing(super().listing().items[:5])

    @staticmethod
    def materialise(item, folder):
        match item.video_id:
            case "train0_real":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "train1_real":
                # And keeps all of Python waiting. The process ends with it.
                one_video.extract_faces = lambda *_, **__: ctypes.PyDLL(None).sleep(600)
            case "test0_real" if not Path(os.environ["KILLED_ONCE"]).exists():
                Path(os.environ["KILLED_ONCE"]).touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return Path(item.source)


@pytest.mark.parametrize("runner", [None, "direct"])
def test_videos_that_crash_or_hang_their_decoder_have_failed_and_the_others_are_built(
    tmp_path, monkeypatch, runner
):
    if runner:
        pytest.importorskip("apache_beam")
    monkeypatch.setenv("KILLED_ONCE", str(tmp_path / "killed"))
    workers = Workers(runner=runner, frame_timeout=1)
    with pytest.raises(VideosUndone, match=r"1 of 5 videos.*test0_real.*SIGKILL.*memory ran out.*--workers"):
        prepare(Deadly(data_dir=tmp_path), workers=workers)
    _, report = prepare(Deadly(data_dir=tmp_path), workers=IN_THIS_PROCESS)
    failures = {video["video_id"]: video["failure"] for video in report["videos"] if video["failure"]}
    assert failures.keys() == {"train0_real", "train1_real", "train2_real"}
    assert failures["train0_real"].endswith("(SIGSEGV): the file crashes the decoder")
    assert failures["train1_real"] == "no frame was decoded for 1 seconds: the file hangs the decoder"


@pytest.mark.parametrize(
    ("workers", "line"),
    [
        (Workers(processes=-1), "--workers -1: give"),
        (Workers(frame_timeout=0), "--frame-timeout 0: give"),
        (Workers(frame_timeout=float("nan")), "--frame-timeout nan: give"),
    ],
)
def test_numbers_of_workers_and_seconds_that_make_no_sense_are_named(tmp_path, workers, line):
    with pytest.raises(FakedetectError, match=line):
        prepare(TinyFaces(data_dir=tmp_path), workers=workers)


def test_too_many_failures_stop_the_build_and_keep_what_is_done(tmp_path):
    with pytest.raises(TooManyFailures, match=r"1 videos failed.*real/train2_real.*README\.md"):
        prepare(TinyFaces(data_dir=tmp_path), workers=IN_THIS_PROCESS, max_failures=0)
    assert len(list((tmp_path / ".unfinished").rglob("outcome.json"))) == 3
    _, report = prepare(TinyFaces(data_dir=tmp_path), workers=IN_THIS_PROCESS, max_failures=2)
    assert sum(bool(video["failure"]) for video in report["videos"]) == 2


def test_failures_of_an_earlier_start_count(tmp_path, monkeypatch):
    def stop(item, folder):
        if item.video_id == "validation0_real":
            raise KeyboardInterrupt
        return Path(item.source)

    monkeypatch.setattr(TinyFaces, "materialise", staticmethod(stop))
    with pytest.raises(KeyboardInterrupt):
        prepare(TinyFaces(data_dir=tmp_path), workers=IN_THIS_PROCESS, max_failures=1)
    monkeypatch.undo()
    # One failed before the stop, and one of those that are left fails.
    with pytest.raises(TooManyFailures, match=r"2 videos failed.*swap/test2_swap.*README\.md"):
        prepare(TinyFaces(data_dir=tmp_path), workers=IN_THIS_PROCESS, max_failures=1)
    with pytest.raises(TooManyFailures, match="2 videos failed"):
        prepare(TinyFaces(data_dir=tmp_path), workers=IN_THIS_PROCESS, max_failures=0)
    prepare(TinyFaces(data_dir=tmp_path), workers=IN_THIS_PROCESS, max_failures=2)


def test_options_are_part_of_the_name_and_of_the_metadata(tmp_path):
    extraction = Extraction(size=64, frames=FrameChoice(count=2, run=3))
    folder, _ = prepare(TinyFaces(data_dir=tmp_path, extraction=extraction), workers=IN_THIS_PROCESS)
    assert folder.relative_to(tmp_path) == Path("tiny_faces/2x3-size64/1.0.0")
    assert {entry.frames for entry in load_index(folder, "test").entries} == {6}
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["extraction"]["frames"] == {"every": 1, "count": 2, "run": 3}
    assert (folder / "build_report.txt").read_text().count("failed: ") == 2


class TwoSplits(TinyFaces):
    def listing(self):
        listing = super().listing()
        listing.items[-1] = dataclasses.replace(listing.items[-1], source_identity="train0")
        return listing


def test_shared_people_are_an_error_before_anything_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(one_video, "extract_faces", None)
    with pytest.raises(ValueError, match=r"identity 'train0' is in split 'train'.*swap/test2_swap"):
        prepare(TwoSplits(data_dir=tmp_path), workers=IN_THIS_PROCESS)


def test_a_missing_source_is_named_with_its_place(tmp_path):
    with pytest.raises(SourceError, match="faceforensics: give --source"):
        create_builder("faceforensics", tmp_path).listing()
    with pytest.raises(SourceError, match="nowhere: no such folder"):
        check("faceforensics", source=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no variant 'c24'; there are \['c23'"):
        build("faceforensics", tmp_path, source=tmp_path, variant="c24")
    with pytest.raises(ValueError, match="unknown dataset 'faceforensic'; there are"):
        build("faceforensic", tmp_path)


@pytest.mark.parametrize("name", names())
def test_every_dataset_is_documented(name):
    root = Path(__file__).parents[3]
    folder = root / "data_builders" / name
    assert {"README.md", "CITATIONS.bib", "__init__.py"} <= {path.name for path in folder.iterdir()}
    assert f"](../data_builders/{name}/README.md)" in (root / "docs/datasets.md").read_text()


@pytest.mark.parametrize("name", sorted(set(names()) - {"mini_forensics"}))
def test_a_variant_that_a_dataset_lacks_is_named_with_those_it_has(tmp_path, name):
    known = create_builder(name, tmp_path).VARIANTS
    with pytest.raises(FakedetectError) as caught:
        check(name, source=tmp_path, variant="c99")
    assert str(caught.value).startswith(f"{name}: no variant 'c99'; ")
    assert str(caught.value).endswith(f"there are {list(known)}" if known else "it has none")


@pytest.mark.parametrize("source", ["gs://bucket/videos", "s3://bucket/videos", Path("gs://bucket/videos")])
def test_a_source_in_a_bucket_is_refused_with_the_remedy(tmp_path, source, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gs:/bucket/videos/real").mkdir(parents=True)
    with pytest.raises(
        SourceError, match=r"^video_folder: --source (gs|s3):/.*cannot read.*gcloud storage cp"
    ):
        check("video_folder", source=source)


@pytest.mark.parametrize("out", ["gs://bucket/data", Path("gs://bucket/data")])
def test_building_into_a_bucket_is_refused_with_the_remedy(tmp_path, out, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FakedetectError, match=r"^--out gs:/.*local folder.*gcloud storage cp -r"):
        build("mini_forensics", out)
    assert not list(tmp_path.iterdir())


def test_a_source_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "videos.csv").touch()
    with pytest.raises(
        SourceError, match=r"--source .*videos\.csv: is a file, not a folder; give a folder with"
    ):
        check("video_folder", source=tmp_path / "videos.csv")


class OddNames(TinyFaces):
    """Names as a list of somebody else may hold them."""

    def listing(self):
        first, second = super().listing().items[:2]
        first = dataclasses.replace(first, video_id="a\nb\x1b[2J\udcff", identity="Zoe\u0308")
        return Listing([first, dataclasses.replace(second, split="test", identity="Zo\u00eb")])


def test_names_of_any_list_become_text_and_accents_do_not_hide_a_person(tmp_path):
    with pytest.raises(
        FakedetectError, match=r"identity 'Zo\u00eb' is in split 'train' \(real/a\\nb\\x1b\[2J\\xff\)"
    ):
        prepare(OddNames(data_dir=tmp_path))


def test_a_local_folder_may_have_a_colon_in_its_name(tmp_path):
    (tmp_path / "a:b/real/v").mkdir(parents=True)
    shutil.copy(FACE, tmp_path / "a:b/real/v.mp4")
    assert len(check("video_folder", source=tmp_path / "a:b").items) == 1


def test_a_name_may_have_its_variant_behind_a_slash(tmp_path):
    def named(*arguments, **options):
        return create_builder(*arguments, data_dir=tmp_path, **options)

    assert named("faceforensics/c40").variant == "c40"
    assert named("faceforensics/c40").data_dir == named("faceforensics", variant="c40").data_dir
    assert named("faceforensics/c40", variant="c40").variant == "c40"
    with pytest.raises(FakedetectError, match=r"no variant 'c24'; there are \['c23'.*'dfd_raw'\]"):
        named("faceforensics/c24")
    with pytest.raises(FakedetectError, match=r"faceforensics/c23 and --variant c40 .*give only one"):
        named("faceforensics/c23", variant="c40")
    with pytest.raises(FakedetectError, match=r"video_folder: no variant 'c23'; it has none"):
        named("video_folder/c23")
    with pytest.raises(FakedetectError, match=r"unknown dataset 'faceforensic'; there are \['celeb_df'"):
        named("faceforensic/c23")


def test_the_options_in_the_name_of_a_built_dataset_are_no_variant(tmp_path):
    # What `no built dataset 'faceforensics/c40-size64'` tells its reader to type.
    with pytest.raises(FakedetectError, match=r"'size64'.*--size.*`fakedetect build faceforensics/c40`"):
        create_builder("faceforensics/c40-size64", tmp_path)
    with pytest.raises(FakedetectError, match=r"'every5'.*--every.*`fakedetect build video_folder`"):
        create_builder("video_folder/every5", tmp_path)


def test_a_build_of_an_older_format_is_renewed_by_the_line_that_its_refusal_names(tmp_path):
    (tmp_path / "source" / "real").mkdir(parents=True)
    shutil.copy(FACE, tmp_path / "source" / "real" / "v.mp4")
    data = tmp_path / "data"
    now, _ = build("video_folder", data, source=tmp_path / "source", extraction=Extraction(size=64))
    metadata = json.loads((now / "metadata.json").read_text())
    del metadata["format"]
    now.rename(now.with_name("1.0.0"))
    (now.with_name("1.0.0") / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(
        DatasetNotBuilt, match="build it again with `fakedetect build video_folder --size 64"
    ) as old:
        dataset_folder(data, "video_folder/size64")
    assert "1.0.0 was built by another version" in str(old.value)
    build("video_folder", data, source=tmp_path / "source", extraction=Extraction(size=64))
    assert dataset_folder(data, "video_folder/size64") == now
