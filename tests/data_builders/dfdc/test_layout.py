"""Small trees in DFDC's official layouts, with their traps."""

import csv
import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data_builders.dfdc.layout import list_videos, part_number, read_subset
from fakedetect_jax.data_builders.engine.source_files import SourceError


def make_part(source: Path, number: int, metadata: dict[str, dict], missing: str = "") -> Path:
    folder = source / f"dfdc_train_part_{number}"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_text(json.dumps(metadata))
    for name in metadata:
        if name != missing:
            (folder / name).touch()
    return folder


def one_real_two_fakes(stem: str) -> dict[str, dict]:
    fake = {"label": "FAKE", "split": "train", "original": f"{stem}.mp4"}
    return {f"{stem}f1.mp4": fake, f"{stem}.mp4": {"label": "REAL", "split": "train"}, f"{stem}f2.mp4": fake}


def make_test(folder: Path, labels: dict[str, str], labels_in: Path | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["filename,label", *(f"{name},{label}" for name, label in labels.items())]
    ((labels_in or folder) / "labels.csv").write_text("\n".join(lines) + "\n")
    for name in labels:
        (folder / name).touch()


@pytest.fixture
def full(tmp_path):
    for number in (0, 2, 10):
        make_part(tmp_path, number, one_real_two_fakes(f"p{number}"))
    make_test(tmp_path / "test", {"tb.mp4": "1", "ta.mp4": "0", "tc.mp4": "1"})
    return tmp_path


def test_the_items_of_a_full_download(full):
    listing = list_videos(full, "full")
    by_id = {item.video_id: item for item in listing.items}
    assert [item.video_id for item in listing.items] == [
        *("p0", "p0f1", "p0f2", "p2", "p2f1", "p2f2", "p10", "p10f1", "p10f2"),
        *("ta", "tb", "tc"),
    ]
    assert by_id["p2"].method == "real"
    assert by_id["p2f1"].method == "fake"
    assert by_id["p2f1"].source == full / "dfdc_train_part_2" / "p2f1.mp4"
    assert {by_id[name].identity for name in ("p2", "p2f1", "p2f2")} == {"p2"}
    assert [(by_id[name].label, by_id[name].split) for name in ("ta", "tb", "tc")] == [
        (0, "test"),
        (1, "test"),
        (1, "test"),
    ]
    assert {by_id[name].identity for name in ("ta", "tb", "tc")} == {""}
    assert listing.published == {("test", "real"): 2500, ("test", "fake"): 2500}
    assert listing.missing() == []
    assert list_videos(full, "full") == listing


def test_one_whole_part_of_three_validates(full):
    listing = list_videos(full, "full")
    splits = {number: set() for number in (0, 2, 10)}
    for item in listing.items:
        if item.split != "test":
            splits[int(item.source.parent.name.split("_")[-1])].add(item.split)
    assert sorted(map(sorted, splits.values())) == [["train"], ["train"], ["validation"]]
    (drawn,) = [number for number, found in splits.items() if found == {"validation"}]
    assert any(f"part(s) {drawn} were drawn" in note for note in listing.notes)


def test_absent_parts_are_named(full):
    (note,) = [note for note in list_videos(full, "full").notes if "parts are missing" in note]
    assert note.startswith("47 of 50")
    assert ": 1, 3, 4," in note
    assert note.endswith("49.")


def test_one_part_alone_trains_and_there_is_no_validation(tmp_path):
    make_part(tmp_path, 3, one_real_two_fakes("a"))
    listing = list_videos(tmp_path, "full")
    assert {item.split for item in listing.items} == {"train"}
    assert any("no validation split" in note for note in listing.notes)
    assert any("test set is missing" in note for note in listing.notes)
    assert listing.published == {}


def test_a_missing_video_stays_and_an_unlisted_one_is_counted(tmp_path):
    folder = make_part(tmp_path, 0, one_real_two_fakes("a"), missing="af2.mp4")
    (folder / "stray.mp4").touch()
    listing = list_videos(tmp_path, "full")
    assert [item.video_id for item in listing.missing()] == ["af2"]
    assert "stray" not in {item.video_id for item in listing.items}
    assert any("1 videos" in note and "stray.mp4" in note for note in listing.notes)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"label": "FAKE", "original": "elsewhere.mp4"}, "elsewhere.mp4"),
        ({"label": "FAKE"}, "None"),
        ({"label": "fake", "original": "a.mp4"}, "'fake'"),
        ({}, "None"),
        ({"label": ["FAKE"], "original": "a.mp4"}, "['FAKE']"),
        ({"label": {"FAKE": 1}, "original": "a.mp4"}, "{'FAKE': 1}"),
        ({"label": "FAKE", "original": ["a.mp4"]}, "['a.mp4']"),
        ({"label": "FAKE", "original": {}}, "{}"),
    ],
)
def test_an_entry_that_contradicts_is_named(tmp_path, entry, said):
    make_part(tmp_path, 7, {"a.mp4": {"label": "REAL"}, "odd.mp4": entry})
    with pytest.raises(SourceError, match=r"dfdc_train_part_7.*odd\.mp4") as caught:
        list_videos(tmp_path, "full")
    assert said in str(caught.value)


def test_a_part_without_or_with_broken_metadata(tmp_path):
    (tmp_path / "dfdc_train_part_4").mkdir()
    with pytest.raises(SourceError, match=r"dfdc_train_part_4.metadata\.json"):
        list_videos(tmp_path, "full")
    (tmp_path / "dfdc_train_part_4" / "metadata.json").write_text("{")
    with pytest.raises(SourceError, match="not a JSON"):
        list_videos(tmp_path, "full")
    (tmp_path / "dfdc_train_part_4" / "metadata.json").write_text('{"a.mp4": "FAKE"}')
    with pytest.raises(SourceError, match="not an object"):
        list_videos(tmp_path, "full")


NO_NAMES = [
    "../../x.mp4",
    "/etc/passwd",
    "a/b.mp4",
    "a\\b.mp4",
    "..",
    ".",
    "",
    "a\0.mp4",
    "a\ud800.mp4",
    "a" * 256,
]


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_a_name_that_is_no_file_name_is_refused(tmp_path, name):
    folder = tmp_path / "dfdc_train_part_1"
    folder.mkdir()
    (folder / "metadata.json").write_text(json.dumps({name: {"label": "REAL"}}))
    with pytest.raises(SourceError, match=r"metadata\.json.*name of a file.*fetch") as caught:
        list_videos(tmp_path, "full")
    str(caught.value).encode()


@pytest.mark.parametrize("name", ["../../x.mp4", "/etc/passwd", "a/b.mp4", "..", ""])
def test_a_label_of_no_file_name_is_refused(tmp_path, name):
    (tmp_path / "test").mkdir()
    (tmp_path / "test/labels.csv").write_text(f"filename,label\n{name},1\n")
    with pytest.raises(SourceError, match=r"labels\.csv, line 2.*name of a file"):
        list_videos(tmp_path, "full")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[" * 100_000, "nested"),
        (b'{"a.mp4": ' + b"[" * 100_000, "nested"),
        (b'{"a.mp4": {"label": ' + b"[" * 900 + b"]" * 900 + b"}}", "label"),
        (b'{"a.mp4": {"label": "RE\xe9L"}}', "not a JSON"),
        (b"", "not a JSON"),
    ],
    ids=["list", "inside", "label", "latin", "empty"],
)
def test_metadata_that_is_damaged(tmp_path, content, said):
    folder = tmp_path / "dfdc_train_part_1"
    folder.mkdir()
    (folder / "metadata.json").write_bytes(content)
    with pytest.raises(SourceError, match=rf"metadata\.json.*{said}.*fetch") as caught:
        list_videos(tmp_path, "full")
    assert len(str(caught.value)) < 500


def test_a_part_that_was_unzipped_into_a_folder_of_its_own_is_found(tmp_path):
    for number in (0, 1):
        make_part(tmp_path / f"dfdc_train_part_{number:02d}", number, one_real_two_fakes(f"v{number}"))
    (tmp_path / "dfdc_train_part_00/__MACOSX").mkdir()
    (tmp_path / "dfdc_train_part_00/__MACOSX/metadata.json").touch()
    items = {item.video_id: item for item in list_videos(tmp_path, "full").items}
    assert items.keys() == {"v0", "v0f1", "v0f2", "v1", "v1f1", "v1f2"}
    assert items["v1"].source == tmp_path / "dfdc_train_part_01/dfdc_train_part_1/v1.mp4"
    assert items["v0"].split != items["v1"].split


def test_a_part_that_could_be_in_two_folders_is_refused(tmp_path):
    for number in (0, 1):
        make_part(tmp_path / "dfdc_train_part_0", number, one_real_two_fakes(f"v{number}"))
    with pytest.raises(SourceError, match=r"part_0: .*part_0, .*part_1 each hold a metadata\.json; keep one"):
        list_videos(tmp_path, "full")


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    folder = make_part(tmp_path, 0, one_real_two_fakes("a"))
    (folder / "metadata.json").write_text('{"a.mp4": {"label": "REAL"}, "a.mp4": {"label": "FAKE"}}')
    with pytest.raises(SourceError, match=r"metadata\.json.*'a\.mp4' is there twice.*fetch"):
        list_videos(tmp_path, "full")


def test_clutter_is_neither_a_video_nor_reported(full):
    before = list_videos(full, "full")
    for name in ("._p0.mp4", ".hidden.mp4", "Thumbs.db", ".DS_Store"):
        (full / "dfdc_train_part_0" / name).touch()
    assert list_videos(full, "full") == before


def test_metadata_with_a_byte_order_mark(tmp_path):
    folder = make_part(tmp_path, 1, one_real_two_fakes("a"))
    text = (folder / "metadata.json").read_text()
    (folder / "metadata.json").write_text(text, encoding="utf-8-sig")
    assert len(list_videos(tmp_path, "full").items) == 3


@pytest.mark.parametrize(
    "content",
    [
        "filename,label\na.mp4,1\n".encode("utf-16"),
        b"filename,label\na\xe9.mp4,1\n",
        b'filename,label\n"a.mp4,1\n',
    ],
    ids=["utf-16", "latin", "quote"],
)
def test_labels_in_another_encoding_or_with_an_open_quote(tmp_path, content):
    (tmp_path / "test").mkdir()
    (tmp_path / "test/labels.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"labels\.csv"):
        list_videos(tmp_path, "full")


def test_other_places_of_the_labels_and_videos(tmp_path):
    make_test(tmp_path / "test_videos", {"a.mp4": "1"}, labels_in=tmp_path)
    (item,) = list_videos(tmp_path, "full").items
    assert item.source == tmp_path / "test_videos" / "a.mp4"
    assert item.source.exists()


def test_test_videos_without_labels(full):
    (full / "test" / "labels.csv").unlink()
    with pytest.raises(SourceError, match=r"labels\.csv.*ai\.meta\.com"):
        list_videos(full, "full")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("filename,label\na.mp4,FAKE\n", "line 2.*'FAKE'"),
        ("filename,label\na.mp4,1\na.mp4,0\n", r"line 3.*a\.mp4.*twice"),
        ("name,label\na.mp4,1\n", "filename,label"),
        ("", "filename,label"),
    ],
)
def test_bad_labels(tmp_path, text, said):
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "labels.csv").write_text(text)
    with pytest.raises(SourceError, match=said):
        list_videos(tmp_path, "full")


def test_the_subset_of_3215(full):
    (full / "dfdc_all_vids.txt").write_text("tc\nta.mp4\n\n")
    listing = list_videos(full, "full_3215")
    assert [item.video_id for item in listing.items if item.split == "test"] == ["ta", "tc"]
    assert [item for item in listing.items if item.split != "test"] == [
        item for item in list_videos(full, "full").items if item.split != "test"
    ]
    assert any("names 2 videos, but the published list 3215" in note for note in listing.notes)
    assert listing.published == {}


def test_the_subset_without_its_list_or_with_an_unknown_name(full):
    with pytest.raises(SourceError, match=r"dfdc_all_vids\.txt.*LipForensics"):
        list_videos(full, "full_3215")
    (full / "dfdc_all_vids.txt").write_text("ta\nnobody\n")
    with pytest.raises(SourceError, match="'nobody'"):
        list_videos(full, "full_3215")


def test_an_empty_folder_is_named_with_the_remedy(tmp_path):
    with pytest.raises(SourceError, match="dfdc_train_part_0"):
        list_videos(tmp_path, "full")


@given(st.integers(0, 10_000), st.integers(0, 3))
def test_part_numbers(number, zeros):
    assert part_number(f"dfdc_train_part_{'0' * zeros}{number}") == number
    assert part_number(f"dfdc_train_part_{number}.zip") is None


@given(st.lists(st.text(string.ascii_lowercase, min_size=1)), st.booleans())
def test_a_subset_list_is_read_as_written(tmp_path_factory, names, suffix):
    path = tmp_path_factory.mktemp("list") / "list.txt"
    path.write_text("".join(f"{name}{'.mp4' if suffix else ''}\r\n" for name in names))
    assert read_subset(path) == names


def test_labels_with_a_byte_order_mark(tmp_path):
    (tmp_path / "test").mkdir()
    with (tmp_path / "test" / "labels.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([("filename", "label"), ("a.mp4", 0)])
    (item,) = list_videos(tmp_path, "full").items
    assert (item.video_id, item.label) == ("a", 0)
