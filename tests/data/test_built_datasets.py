"""Reading built datasets: whole, of another version, damaged."""

import dataclasses
import errno
import json
import os
import random
import re
import shlex
import shutil

import numpy as np
import pytest
import simplejpeg
from safetensors.numpy import load_file, save_file
from tensorflow_datasets.proto import tf_example_pb2

from fakedetect_jax.cli.main import make_parser
from fakedetect_jax.data import index, schema, videos
from fakedetect_jax.data.clips import Clip
from fakedetect_jax.data.index import DatasetNotBuilt, dataset_folder, load_index, open_split, read_report
from fakedetect_jax.data.records import DamagedDataset, Record
from fakedetect_jax.data.videos import decode_jpeg, select
from fakedetect_jax.errors import FakedetectError
from tests.bit_flips import with_a_flipped_bit
from tests.conftest import make_videos
from tests.tiny_dataset import build_tiny


@pytest.fixture
def folder(tiny_data, tmp_path):
    """A copy of the built dataset that a test may damage."""
    shutil.copytree(tiny_data, tmp_path / "data")
    return tmp_path / "data" / "tiny_faces" / "1.0.0"


def assert_same(one, other):
    assert one.entries == other.entries
    np.testing.assert_array_equal(one.frame_index, other.frame_index)
    np.testing.assert_array_equal(one.timestamp, other.timestamp)


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


def of_other_records(path):
    other = path.with_name("index-validation.safetensors")
    shutil.copy(other, path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"{}" * 40),
        cut,
        of_other_records,
        lambda path: save_file(load_file(path), path),
    ],
)
def test_an_index_that_cannot_be_used_is_made_anew_from_the_records(folder, spoil):
    whole = load_index(folder, "test")
    path = folder / "index-test.safetensors"
    spoil(path)
    assert_same(load_index(folder, "test"), whole)
    assert_same(index._read(path, shards_of(folder)), whole)


def shards_of(folder, split="test"):
    return index._identify(folder, index._builder(folder, split).info.splits[split])


def test_any_bit_of_an_index_that_flips_is_found_or_means_nothing(folder):
    whole, path, draw = load_index(folder, "test"), folder / "index-test.safetensors", random.Random(0)
    data = path.read_bytes()
    for _ in range(60):
        path.write_bytes(with_a_flipped_bit(data, draw))
        assert_same(load_index(folder, "test"), whole)


def turned_around(entries):
    """The labels of other videos: the tracks' names in reverse order, each with the records of the other."""
    places = [(entry.first, entry.frames) for entry in entries]
    return [
        dataclasses.replace(entry, first=first, frames=frames)
        for entry, (first, frames) in zip(reversed(entries), places, strict=True)
    ]


@pytest.mark.parametrize(
    "change",
    [
        turned_around,
        lambda entries: [dataclasses.replace(entry, label=1 - entry.label) for entry in entries],
        lambda entries: [dataclasses.replace(entry, identity="another") for entry in entries],
        lambda entries: [dataclasses.replace(entry, track=entry.track + 1) for entry in entries],
    ],
)
def test_an_index_that_names_other_videos_than_the_records_is_refused(folder, change):
    entries, frame_index, timestamp = load_index(folder, "test")
    path = folder / "index-test.safetensors"
    index._write(path, index.Index(change(entries), frame_index, timestamp), shards_of(folder))
    chosen = select(folder.parents[1], "tiny_faces", "test")
    clip = Clip(0, np.arange(2), np.ones(2, bool))
    message = rf"{path} is not the index of the records beside it: record \d+ is of \w+/test\d_\w+, track 0, and not"
    with pytest.raises(DamagedDataset, match=message):
        chosen.load([(number, clip) for number in range(len(chosen))])
    path.unlink()
    chosen = select(folder.parents[1], "tiny_faces", "test")
    assert chosen.load([(0, clip)])["label"].shape == (1,)


def test_a_missing_shard_is_named_before_anything_is_read(folder):
    (shard,) = folder.glob("*test.array_record*")
    shard.unlink()
    with pytest.raises(DamagedDataset, match=f"{shard} is missing; copy it again from where it is whole, or"):
        select(folder.parents[1], "tiny_faces", "test")


def test_records_of_another_split_are_refused(folder):
    """People of the test split would be trained on."""
    (train,), (test,) = folder.glob("*train.array_record*"), folder.glob("*test.array_record*")
    content = train.read_bytes()
    train.write_bytes(test.read_bytes())
    test.write_bytes(content)
    message = rf"{folder}: the files of split 'train' hold records of 'test', as if files were exchanged; copy it again"
    with pytest.raises(DamagedDataset, match=message):
        select(folder.parents[1], "tiny_faces", "train")


@pytest.mark.parametrize("name", ["metadata.json", "dataset_info.json", "features.json", "build_report.json"])
def test_a_flipped_bit_in_what_describes_a_dataset_is_found(folder, name):
    path, draw = folder / name, random.Random(name)
    data = path.read_bytes()
    for _ in range(20):
        path.write_bytes(with_a_flipped_bit(data, draw))
        with pytest.raises((DamagedDataset, DatasetNotBuilt), match=re.escape(str(folder))):
            dataset_folder(folder.parents[1], "tiny_faces")


@pytest.mark.parametrize("document", [None, "", "[]", "{}", "null", '{"metadata.json": "0"}'])
def test_the_digests_of_a_dataset_are_needed(folder, document):
    path = folder / "sha256.json"
    path.unlink() if document is None else path.write_text(document)
    with pytest.raises(DamagedDataset, match=r"1\.0\.0: .* copy it again from where it is whole"):
        dataset_folder(folder.parents[1], "tiny_faces")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
def test_a_dataset_that_cannot_be_written_is_read_all_the_same(folder, number, monkeypatch):
    whole = load_index(folder, "test")
    (folder / "index-test.safetensors").unlink()

    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.write_bytes", refuse)
    assert_same(load_index(folder, "test"), whole)


def test_a_folder_in_the_place_of_the_index_is_no_matter(folder):
    whole = load_index(folder, "test")
    (folder / "index-test.safetensors").unlink()
    (folder / "index-test.safetensors").mkdir()
    assert_same(load_index(folder, "test"), whole)


def test_folders_that_are_no_version_are_passed_over(folder):
    shutil.copytree(folder, folder.with_name("1.0.0.bak"))
    shutil.copytree(folder, folder.with_name("0.9.0"))
    assert dataset_folder(folder.parents[1], "tiny_faces") == folder


def remedy(error):
    return shlex.split(re.search(r"`(.*?)`", str(error.value)).group(1))


@pytest.mark.parametrize(
    ("dataset", "variant"), [("faceforensics/c23", "c23"), ("celeb_df/v2", "v2"), ("mini_forensics", "")]
)
def test_the_remedy_for_what_is_not_built_can_be_typed(tmp_path, dataset, variant):
    with pytest.raises(DatasetNotBuilt) as error:
        dataset_folder(tmp_path, dataset)
    command = remedy(error)
    assert command[0] == "fakedetect"
    arguments = make_parser().parse_args(command[1:])
    assert (arguments.name, arguments.variant) == (dataset.split("/")[0], variant)


def test_a_bucket_is_refused_with_a_remedy():
    with pytest.raises(FakedetectError, match=r"config\.data\.folder='gs://bucket/data'.*copy.*or mount"):
        select("gs://bucket/data", "tiny_faces", "test")


@pytest.mark.parametrize(
    "changed",
    [
        {"extraction": []},
        {"extraction": {"frames": 1.5}},
        {"extraction": {"size": "x"}},
        {"extraction": None, "variant": "\x1b[2J"},
        {"variant": ["c23"]},
    ],
)
def test_options_of_another_version_that_cannot_be_read_are_left_out_of_the_line(folder, changed):
    metadata = json.loads((folder / "metadata.json").read_text())
    (folder / "metadata.json").write_text(json.dumps(metadata | {"format": 99} | changed))
    with pytest.raises(DatasetNotBuilt, match="another version") as error:
        dataset_folder(folder.parents[1], "tiny_faces")
    assert remedy(error) == ["fakedetect", "build", "tiny_faces", "--out", str(folder.parents[1])]


def test_a_build_of_another_version_is_refused_with_the_line_that_renews_it(folder):
    path = folder / "metadata.json"
    frames = {"every": 5, "count": 0, "run": 1}
    extraction = {"size": 320, "margin": 0.3, "quality": 95, "frames": frames, "detect_every": 1}
    path.write_text(json.dumps({"variant": "c40", "extraction": extraction}))
    with pytest.raises(DatasetNotBuilt, match="another version") as error:
        select(folder.parents[1], "tiny_faces", "test")
    assert remedy(error)[:9] == [
        "fakedetect",
        "build",
        "tiny_faces",
        "--variant",
        "c40",
        "--every",
        "5",
        "--size",
        "320",
    ]


@pytest.mark.parametrize("spoil", [cut, lambda path: path.write_text("[]"), lambda path: path.unlink()])
def test_a_damaged_description_is_named(folder, spoil):
    spoil(folder / "metadata.json")
    with pytest.raises(DamagedDataset, match=r"metadata\.json cannot be read"):
        select(folder.parents[1], "tiny_faces", "test")


@pytest.mark.parametrize("spoil", [cut, lambda path: path.write_text("[]"), lambda path: path.unlink()])
def test_a_damaged_report_of_the_build_is_named(folder, spoil):
    spoil(folder / "build_report.json")
    with pytest.raises(DamagedDataset, match=r"build_report\.json cannot be read"):
        read_report(folder)


@pytest.mark.parametrize("name", ["dataset_info.json", "features.json"])
def test_a_damaged_folder_of_tfds_is_named(folder, name):
    cut(folder / name)
    with pytest.raises(FakedetectError, match=re.escape(str(folder))):
        select(folder.parents[1], "tiny_faces", "test")


def test_a_split_that_there_is_not_is_named(folder):
    with pytest.raises(FakedetectError, match=r"no split 'dev'.*test.*train.*validation"):
        load_index(folder, "dev")


@pytest.mark.parametrize("change", ["cut", "zeros", "gone"])
def test_a_damaged_shard_is_named_with_the_record(folder, change):
    (shard,) = folder.glob("*test.array_record*")
    data = bytearray(shard.read_bytes())
    chosen = select(folder.parents[1], "tiny_faces", "test")
    if change == "cut":
        shard.write_bytes(data[: len(data) // 2])
    elif change == "gone":
        shard.unlink()
    else:
        data[len(data) // 4 : len(data) // 2] = bytes(len(data) // 4)
        shard.write_bytes(data)
    everything = [(number, Clip(0, np.arange(24), np.ones(24, bool))) for number in range(len(chosen))]
    with pytest.raises(DamagedDataset, match=rf"{shard}: record \d+ cannot be read"):
        chosen.load(everything)


def test_a_shard_that_is_cut_short_while_it_is_open_is_named(folder):
    (shard,) = folder.glob("*test.array_record*")
    records = open_split(folder, "test")
    assert records[0]["offset"] == 0
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    with pytest.raises(DamagedDataset, match=rf"{shard}: record \d+ cannot be read"):
        list(records)


@pytest.mark.parametrize(
    "jpeg",
    [
        b"",
        b"no picture",
        simplejpeg.encode_jpeg(np.zeros((64, 64, 3), np.uint8))[:-40],
        simplejpeg.encode_jpeg(np.zeros((64, 80, 3), np.uint8)),
        simplejpeg.encode_jpeg(np.zeros((64, 32, 3), np.uint8)),
    ],
)
def test_a_picture_that_cannot_be_decoded_is_named(jpeg):
    chosen = make_videos([4, 4])
    chosen.records[5]["jpeg"] = jpeg
    with pytest.raises(
        DamagedDataset, match="memory, split 'train', real/v1, track 0: frame 1 cannot be decoded"
    ):
        chosen.load([(1, Clip(0, np.arange(2), np.ones(2, bool)))])


def test_a_picture_of_another_size_asks_for_no_memory():
    giant = bytearray(simplejpeg.encode_jpeg(np.zeros((64, 64, 3), np.uint8)))
    at = giant.index(b"\xff\xc0") + 5
    giant[at : at + 4] = (57609).to_bytes(2, "big") + (50345).to_bytes(2, "big")
    with pytest.raises(ValueError, match="buffer is too small"):
        decode_jpeg(bytes(giant), np.empty((64, 64, 3), np.uint8))


def test_many_shards_are_read_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr("fakedetect_jax.data_builders.engine.base.SHARD_FRAMES", 40)
    folder = build_tiny(tmp_path)
    assert len(list(folder.glob("*test.array_record*"))) == 2
    found = load_index(folder, "test")
    (folder / "index-test.safetensors").unlink()
    assert_same(load_index(folder, "test"), found)
    records = open_split(folder, "test")
    assert [int(record["offset"]) for record in records] == [*range(24)] * 4
    for entry in found.entries:
        assert records[entry.first + 23]["video_id"].decode() == entry.video_id


def test_people_are_known_by_their_names_across_datasets_where_these_are_known():
    (entry,) = make_videos([1]).videos[0].tracks
    assert videos.person_of(entry) == "memory/p0"
    assert videos.person_of(dataclasses.replace(entry, identity="")) == "memory/real/v0"
    assert videos.source_person_of(entry) == ""
    assert videos.person_of(dataclasses.replace(entry, identity="youtube-755")) == "youtube-755"
    assert videos.source_person_of(dataclasses.replace(entry, source_identity="p7")) == "memory/p7"


def test_the_limit_counts_videos_and_not_tracks(folder):
    assert len(select(folder.parents[1], "tiny_faces", "test", limit=3)) == 3
    assert os.listdir(folder)


def example(**fields):
    """The bytes of a record with these fields alone."""
    features = {}
    for name, values in fields.items():
        kind = {bytes: "bytes_list", int: "int64_list", float: "float_list"}[type(values[0])]
        features[name] = {kind: {"value": values}}
    return tf_example_pb2.Example(features={"feature": features}).SerializeToString()


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("video_id", {}),
        ("video_id", {"video_id": [3]}),
        ("landmarks", {}),
        ("landmarks", {"landmarks": [b"123"]}),
        ("landmarks", {"landmarks": [b"1234" * 3]}),
        ("affine", {"affine": [1.0, 2.0]}),
        ("label", {"label": [b"x"]}),
        ("label", {"label": [1, 2]}),
    ],
)
def test_a_field_of_a_record_that_cannot_be_read_is_named(name, stored):
    record = Record(example(**stored), schema.features(), "faces-test.array_record: record 5")
    message = rf"^faces-test.array_record: record 5: field '{name}' cannot be read \(.*\); copy it again"
    with pytest.raises(DamagedDataset, match=message):
        record[name]
