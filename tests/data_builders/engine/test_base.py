import dataclasses
import json
import sys

import numpy as np
import pytest

from fakedetect_jax.data.index import DatasetNotBuilt, dataset_folder, load_index, open_split
from fakedetect_jax.data.schema import to_records
from fakedetect_jax.data.videos import select
from fakedetect_jax.data_builders.engine.splits import check_disjoint
from fakedetect_jax.faces import extract_faces
from tests.data_builders import slow_builds
from tests.tiny_dataset import FACE


def test_records_hold_what_extraction_gave(tiny_data):
    folder = dataset_folder(tiny_data, "tiny_faces")
    records = list(open_split(folder, "validation"))
    (sequence,) = extract_faces(FACE)
    assert [record["jpeg"] for record in records] == sequence.frames
    assert [int(record["offset"]) for record in records] == list(range(24))
    for name in ("frame_index", "timestamp", "box", "landmarks", "confidence", "affine"):
        stored = np.stack([record[name] for record in records])
        np.testing.assert_array_equal(stored, getattr(sequence, name), strict=True)
    assert {tuple(record["frame_size"]) for record in records} == {sequence.frame_size}


def test_every_video_is_accounted_for(tiny_data):
    report = json.loads((dataset_folder(tiny_data, "tiny_faces") / "build_report.json").read_text())
    failed = {video["video_id"]: video["failure"] for video in report["videos"] if video["failure"]}
    assert failed.keys() == {"train2_real", "test2_swap"}
    assert all("README.md" in reason for reason in failed.values())
    train = next(row for row in report["summary"] if row["split"] == "train")
    assert (train["videos"], train["failed"], train["tracks"]) == (3, 1, 2)
    assert len(report["videos"]) == 9


def test_selection_by_method_and_limit(tiny_data):
    everything, swaps = (select(tiny_data, "tiny_faces", "test", methods) for methods in ((), ("swap",)))
    assert {video.about.method for video in everything.videos} == {"real", "swap"}
    assert [video.about.label for video in swaps.videos] == [1, 1]
    assert len(select(tiny_data, "tiny_faces", "test", limit=3)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "test"), "fakedetect build nothing"),
        (("tiny_faces", "dev"), r"no split 'dev'; there are \['test', 'train', 'validation'\]"),
        (("tiny_faces", "test", ("morph",)), r"no method \['morph'\]; there are \['real', 'swap'\]"),
    ],
)
def test_what_is_not_there_is_named(tiny_data, arguments, message):
    with pytest.raises(ValueError, match=message):
        select(tiny_data, *arguments)


def test_a_missing_dataset_has_its_own_error(tmp_path):
    with pytest.raises(DatasetNotBuilt):
        dataset_folder(tmp_path, "tiny_faces")


def test_builds_of_two_processes_are_identical(tiny_data, tmp_path):
    """Protobuf shuffles the fields of a message anew in every process."""
    first = dataset_folder(tiny_data, "tiny_faces")
    with slow_builds.started(tmp_path, seconds=0) as process:
        assert process.wait(120) == 0
    second = dataset_folder(tmp_path, "tiny_faces")
    assert {path.name for path in first.iterdir()} == {path.name for path in second.iterdir()}
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_an_identity_in_two_splits_is_an_error_that_names_it(tiny_data):
    folder = dataset_folder(tiny_data, "tiny_faces")
    train, test = load_index(folder, "train").entries, load_index(folder, "test").entries
    check_disjoint([*train, *test], dataset="d")
    stranger = dataclasses.replace(test[0], source_identity="train0")
    with pytest.raises(ValueError, match=r"identity 'train0' is in split 'train'.*and in split 'test'"):
        check_disjoint([*train, stranger], dataset="d")
    check_disjoint([*train, stranger], dataset="d", shared=[("test", "train")])
    with pytest.raises(ValueError, match="train0"):
        check_disjoint([*train, stranger], dataset="d", shared=[("test", "validation")])


def test_label_and_method_must_agree():
    (sequence,) = extract_faces(FACE)
    with pytest.raises(ValueError, match="label=0 with method='swap'"):
        next(to_records(sequence, video_id="v", dataset="d", split="test", method="swap", label=0, main=True))


def test_tensorflow_is_not_needed(tiny_data):
    select(tiny_data, "tiny_faces", "test")
    assert "tensorflow" not in sys.modules
