"""Official splits, names and folders of FaceForensics++ and DeepFakeDetection, with their traps planted."""

import json
import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.splits import check_disjoint
from fakedetect_jax.data_builders.faceforensics import layout, official_splits
from fakedetect_jax.data_builders.faceforensics.faceforensics_dataset_builder import Builder
from fakedetect_jax.data_builders.faceforensics.youtube import youtube_identity
from fakedetect_jax.errors import FakedetectError

# As the publisher splits them: (953, 974) and (012, 026) are test pairs.
PAIRS = {
    "train": [["071", "054"], ["087", "081"], ["881", "856"]],
    "val": [["720", "672"]],
    "test": [["953", "974"], ["012", "026"]],
}
IDS = [video for pairs in PAIRS.values() for pair in pairs for video in pair]
BOTH_WAYS = [f"{a}_{b}" for pairs in PAIRS.values() for pair in pairs for a, b in (pair, pair[::-1])]
FIVE = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")


def touch(folder: Path, stems):
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        (folder / f"{stem}.mp4").touch()


def write_splits(folder: Path, pairs=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in (PAIRS | (pairs or {})).items():
        (folder / f"{name}.json").write_text(json.dumps(value))


@pytest.fixture
def tree(tmp_path):
    write_splits(tmp_path / "splits")
    touch(tmp_path / "original_sequences/youtube/c23/videos", IDS)
    for method in FIVE:
        touch(tmp_path / f"manipulated_sequences/{method}/c23/videos", BOTH_WAYS)
    return tmp_path


def by_key(listing):
    found = {item.key: item for item in listing.items}
    assert len(found) == len(listing.items)
    return found


def test_a_pair_gives_two_reals_and_two_fakes_of_each_method(tree):
    listing = layout.list_videos(tree, "c23")
    counts = Counter((item.split, item.method, item.label) for item in listing.items)
    sizes = {"train": 6, "validation": 2, "test": 4}
    assert counts == {(split, "real", 0): n for split, n in sizes.items()} | {
        (split, method, 1): n for split, n in sizes.items() for method in FIVE
    }
    assert listing.missing() == []
    assert listing.notes == []


def test_masks_that_are_git_lfs_pointers_are_named(tree):
    touch(tree / "manipulated_sequences/FaceSwap/masks/videos", BOTH_WAYS)
    mask = tree / f"manipulated_sequences/FaceSwap/masks/videos/{BOTH_WAYS[0]}.mp4"
    mask.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    (note,) = layout.list_videos(tree, "c23").notes
    assert note.startswith(f"FaceSwap: 1 masks: {mask}: is a Git LFS pointer")
    assert "git lfs pull" in note


def test_clutter_is_neither_a_video_nor_reported(tree):
    before = layout.list_videos(tree, "c23")
    touch(tree / "original_sequences/youtube/c23/videos", ["._071"])
    touch(tree / "manipulated_sequences/FaceSwap/c23/videos", ["._071_054"])
    assert layout.list_videos(tree, "c23") == before


def test_a_fake_is_its_target_with_its_sources_face(tree):
    items = by_key(layout.list_videos(tree, "c23"))
    fake = items["Face2Face/026_012"]
    assert (fake.split, fake.identity, fake.source_identity) == ("test", "youtube-026", "youtube-012")
    assert fake.compression == "c23"
    assert fake.source == tree / "manipulated_sequences/Face2Face/c23/videos/026_012.mp4"
    real = items["real/720"]
    assert (real.split, real.identity, real.source_identity) == ("validation", "youtube-720", "")
    assert real.source == tree / "original_sequences/youtube/c23/videos/720.mp4"


def test_no_person_is_in_two_splits(tree):
    where: dict[str, set[str]] = {}
    for item in layout.list_videos(tree, "c23").items:
        for person in (item.identity, item.source_identity):
            where.setdefault(person, set()).add(item.split)
    # 974 was cut from the same YouTube video as 973, which is not here.
    named = {video: f"youtube-{video}" for video in IDS} | {"974": "youtube-973"}
    assert {len(where[person]) for person in named.values()} == {1}


def test_977_youtube_videos_as_the_publisher_counts_them():
    people = {youtube_identity(f"{number:03d}") for number in range(1000)}
    assert len(people) == 977
    assert youtube_identity("687") == youtube_identity("686") == youtube_identity("685") == "youtube-685"
    assert youtube_identity("000") == "youtube-000"


# The pairs of the publisher's splits that hold one of these, and who shares a YouTube video with whom.
CROSSING = {
    "train": ["605", "639", "838", "876", "983", "756", "954"],
    "val": ["606", "640", "837", "875", "982"],
    "test": ["755", "955"],
}


def test_official_splits_that_share_a_youtube_video_are_kept_and_named(tree):
    write_splits(
        tree / "splits", {name: [[video, f"{n:03d}"] for n, video in enumerate(videos, start)]
                          for start, (name, videos) in zip((0, 10, 20), CROSSING.items(), strict=True)}
    )  # fmt: skip
    listing = layout.list_videos(tree, "c23")
    splits_of: dict[str, set[str]] = {}
    for item in listing.items:
        splits_of.setdefault(item.identity, set()).add(item.split)
    shared = {person for person, found in splits_of.items() if len(found) > 1}
    assert shared == {f"youtube-{video}" for video in ("605", "639", "837", "875", "982", "755", "954")}
    (note,) = [note for note in listing.notes if "YouTube" in note]
    assert "share 7 people" in note
    for video in (video for videos in CROSSING.values() for video in videos):
        assert video in note
    assert "755 (test) and 756 (train)" in note
    # What the builder allows is what there is.
    check_disjoint(listing.items, dataset="faceforensics", shared=Builder.SHARED_IDENTITIES)
    with pytest.raises(FakedetectError, match="youtube-"):
        check_disjoint(listing.items, dataset="faceforensics")


def test_published_counts(tree):
    published = layout.list_videos(tree, "c23").published
    assert published["train", "real"] == 720
    assert published["validation", "FaceShifter"] == published["test", "Deepfakes"] == 140
    assert len(published) == 18


@pytest.mark.parametrize("place", ["splits", "dataset/splits", "."])
def test_split_files_are_found_where_users_put_them(tmp_path, place):
    write_splits(tmp_path / place)
    assert official_splits.read_splits(tmp_path)["test"] == [("953", "974"), ("012", "026")]


def test_a_missing_split_file_is_named_with_its_publisher(tree):
    (tree / "splits/val.json").unlink()
    with pytest.raises(SourceError, match=r"val\.json.*github\.com/ondyari/FaceForensics.*dataset/splits"):
        layout.list_videos(tree, "c23")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[[", "not a JSON"),
        ('{"012": "026"}', "dict"),
        ('[["012", "026"], ["012"]]', r"entry 1 is \['012'\]"),
        ('["012_026"]', "entry 0 is '012_026'"),
        ("[[12, 26]]", r"entry 0 is \[12, 26\]"),
        ("[" * 100_000, "nested"),
        ("[" * 900 + "]" * 900, "entry 0"),
        ('[["012", "0260"]]', "0260"),
        ('[["012", "٠٢٦"]]', "entry 0"),
    ],
)
def test_a_wrong_split_file_names_file_and_entry(tree, content, named):
    (tree / "splits/train.json").write_text(content)
    with pytest.raises(SourceError, match=rf"train\.json.*{named}"):
        layout.list_videos(tree, "c23")


@pytest.mark.parametrize("pair", [["953", "100"], ["720", "100"], ["100", "100"]])
def test_a_video_in_two_pairs_is_refused(tree, pair):
    write_splits(tree / "splits", {"train": [*PAIRS["train"], pair]})
    with pytest.raises(SourceError, match=f"'{pair[0]}' is listed twice"):
        layout.list_videos(tree, "c23")


def test_a_method_that_is_absent_is_left_out_and_noted(tree):
    for path in (tree / "manipulated_sequences/FaceShifter/c23/videos").iterdir():
        path.unlink()
    (tree / "manipulated_sequences/FaceShifter/c23/videos").rmdir()
    listing = layout.list_videos(tree, "c23")
    assert {item.method for item in listing.items} == {"real", *FIVE[:4]}
    assert "manipulated_sequences/FaceShifter/c23/videos" in listing.notes[0]
    assert ("test", "FaceShifter") not in listing.published


def test_absent_reals_are_an_error_that_knows_the_other_compressions(tree):
    with pytest.raises(SourceError, match=r"youtube/c40/videos.*-d original -c c40.*is there: c23"):
        layout.list_videos(tree, "c40")
    with pytest.raises(SourceError, match=r"actors/raw/videos.*-d DeepFakeDetection_original"):
        layout.list_videos(tree, "dfd_raw")


def test_a_video_the_splits_name_and_nobody_downloaded_is_missing_not_gone(tree):
    (tree / "manipulated_sequences/FaceSwap/c23/videos/054_071.mp4").unlink()
    assert [item.key for item in layout.list_videos(tree, "c23").missing()] == ["FaceSwap/054_071"]


def test_videos_in_no_split_are_counted_not_built(tree):
    touch(tree / "original_sequences/youtube/c23/videos", ["998", "999"])
    touch(tree / "manipulated_sequences/Deepfakes/c23/videos", ["998_999"])
    listing = layout.list_videos(tree, "c23")
    assert not any("99" in item.video_id for item in listing.items)
    assert listing.notes == [
        "real: videos that no split names, not built: 2, e.g. 998.mp4",
        "Deepfakes: videos that no split names, not built: 1, e.g. 998_999.mp4",
    ]


def test_masks_are_recorded_where_they_are(tree):
    touch(tree / "manipulated_sequences/Deepfakes/masks/videos", BOTH_WAYS)
    touch(tree / "manipulated_sequences/Face2Face/masks/videos", ["012_026"])
    listing = layout.list_videos(tree, "c23")
    items = by_key(listing)
    for stem in BOTH_WAYS:
        assert (
            items[f"Deepfakes/{stem}"].mask
            == tree / f"manipulated_sequences/Deepfakes/masks/videos/{stem}.mp4"
        )
        assert items[f"FaceShifter/{stem}"].mask is None
    assert items["Face2Face/012_026"].mask is not None
    assert items["Face2Face/026_012"].mask is None
    assert items["real/012"].mask is None
    assert listing.notes == ["Face2Face: 1 of 12 videos have a mask"]


def test_deepfakedetection_is_all_test(tmp_path):
    touch(tmp_path / "original_sequences/actors/c40/videos", ["01__exit_phone_room", "02__kitchen_pan"])
    folder = tmp_path / "manipulated_sequences/DeepFakeDetection"
    touch(
        folder / "c40/videos",
        ["01_02__exit_phone_room__YVGY8LOK", "01_02__kitchen_pan__9229VVZ3", "copy of 01"],
    )
    touch(folder / "masks/videos", ["01_02__exit_phone_room__YVGY8LOK", "01_02__kitchen_pan__9229VVZ3"])
    listing = layout.list_videos(tmp_path, "dfd_c40")
    assert {item.split for item in listing.items} == {"test"}
    people = {item.key: (item.label, item.identity, item.source_identity) for item in listing.items}
    assert people == {
        "real/01__exit_phone_room": (0, "actor-01", ""),
        "real/02__kitchen_pan": (0, "actor-02", ""),
        "DeepFakeDetection/01_02__exit_phone_room__YVGY8LOK": (1, "actor-01", "actor-02"),
        "DeepFakeDetection/01_02__kitchen_pan__9229VVZ3": (1, "actor-01", "actor-02"),
    }
    assert all(item.mask for item in listing.items if item.label)
    assert listing.missing() == []
    assert "no official split" in listing.notes[0]
    assert listing.notes[1].endswith("not built: 1, e.g. copy of 01.mp4")
    assert listing.published == {("test", "real"): 363, ("test", "DeepFakeDetection"): 3068}


video_ids = st.integers(0, 999).map("{:03d}".format)


@given(st.lists(st.tuples(video_ids, video_ids)))
def test_pairs_come_back_as_written(pairs):
    assert official_splits.parse_pairs(json.dumps(pairs).encode(), Path("train.json")) == pairs


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | video_ids,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)


def pairs_or_message(content: bytes):
    try:
        return official_splits.parse_pairs(content, Path("val.json")), ""
    except SourceError as error:
        return None, str(error)


@given(json_values)
def test_any_json_is_pairs_or_a_source_error(value):
    pairs, message = pairs_or_message(json.dumps(value).encode())
    if pairs is None:
        assert "val.json" in message
    else:
        assert [list(pair) for pair in pairs] == value
        assert all(len(video) == 3 and video.isdigit() for pair in pairs for video in pair)


@given(st.binary(max_size=30))
def test_any_bytes_are_pairs_or_a_source_error(content):
    pairs, message = pairs_or_message(content)
    assert (pairs is None) == ("val.json" in message)


actors = st.integers(1, 28).map("{:02d}".format)
scenes = st.lists(st.text(string.ascii_lowercase, min_size=1), min_size=1, max_size=4).map("_".join)
codes = st.text(string.ascii_uppercase + string.digits, min_size=8, max_size=8)


@given(actors, actors, scenes, codes)
def test_names_of_actors_are_read_back(target, donor, scene, code):
    fake = f"{target}_{donor}__{scene}__{code}"
    assert layout.parse_actors(fake) == (f"actor-{target}", f"actor-{donor}")
    assert layout.parse_actor(fake) is None
    assert layout.parse_actor(f"{target}__{scene}") == f"actor-{target}"
    assert layout.parse_actors(f"{target}__{scene}") is None


@given(st.text())
def test_a_strange_name_has_no_actor(stem):
    for found in (layout.parse_actor(stem), layout.parse_actors(stem)):
        assert found is None or stem[0].isdigit()
