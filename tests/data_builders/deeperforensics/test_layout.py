"""Split lists, folders and the two protocols of DeeperForensics-1.0, with the traps planted."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data_builders.deeperforensics import layout, official_splits
from fakedetect_jax.data_builders.deeperforensics.deeperforensics_dataset_builder import Builder
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.splits import check_disjoint
from fakedetect_jax.data_builders.faceforensics import layout as faceforensics

LISTS = {
    "train": ["000_M101", "002_M101", "010_W006", "012_W006"],
    "val": ["018_W007"],
    "test": ["001_W101", "005_W101"],
}
FAKES = [stem for stems in LISTS.values() for stem in stems]
ELEVEN = {
    "end_to_end",
    "end_to_end_level_1",
    "end_to_end_level_2",
    "end_to_end_level_3",
    "end_to_end_level_4",
    "end_to_end_level_5",
    "end_to_end_random_level",
    "end_to_end_mix_2_distortions",
    "end_to_end_mix_3_distortions",
    "end_to_end_mix_4_distortions",
    "reenact_postprocess",
}
RECORDINGS = {
    "M101": [
        "light_down/contempt/camera_front",
        "BlendShape/camera_down",
        "BlendShape_extra/light_up/camera_left",
    ],
    "W006": ["light_uniform/neutral/camera_up"],
    "W007": ["light_left/sad/camera_right"],
    "W101": ["light_right/happy/camera_leftfront"],
}


def touch(folder: Path, stems):
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        (folder / f"{stem}.mp4").touch()


def write_lists(root: Path, **changed):
    folder = root / "lists/splits"
    folder.mkdir(parents=True, exist_ok=True)
    for name, stems in (LISTS | changed).items():
        (folder / f"{name}.txt").write_text("".join(f"{stem}.mp4\n" for stem in stems))


@pytest.fixture
def tree(tmp_path):
    root, ffpp = tmp_path / "DeeperForensics-1.0", tmp_path / "FaceForensics++"
    write_lists(root)
    for variant in ELEVEN:
        touch(root / "manipulated_videos" / variant, FAKES)
    touch(ffpp / "original_sequences/youtube/c23/videos", [f"{number:03d}" for number in range(20)])
    (root / "ffpp").symlink_to(ffpp)
    for actor, places in RECORDINGS.items():
        for place in places:
            touch(root / "source_videos" / actor / place, [f"{actor}_{place.replace('/', '_')}"])
    return root


def test_clutter_is_neither_a_video_nor_reported(tree):
    variants = ("end_to_end", "end_to_end__source_videos")
    before = [layout.list_videos(tree, variant) for variant in variants]
    touch(tree / "manipulated_videos/end_to_end", ["._000_M101"])
    touch(tree / "source_videos/M101/BlendShape/camera_down", ["._M101_BlendShape_camera_down"])
    touch(tree / "source_videos/@eaDir", ["x"])
    assert [layout.list_videos(tree, variant) for variant in variants] == before


def test_eleven_folders_and_two_protocols_each():
    assert set(layout.VARIANTS) == ELEVEN | {f"{name}__source_videos" for name in ELEVEN}
    assert len(layout.VARIANTS) == 22
    assert layout.VARIANTS[0] == "end_to_end"


@pytest.mark.parametrize("variant", sorted(ELEVEN))
def test_the_official_real_of_a_fake_is_the_video_it_was_made_from(tree, variant):
    listing = layout.list_videos(tree, variant)
    reals = {item.video_id: item.split for item in listing.items if item.label == 0}
    assert reals == {
        "000": "train",
        "002": "train",
        "010": "train",
        "012": "train",
        "018": "validation",
        "001": "test",
        "005": "test",
    }
    fakes = Counter((item.split, item.method) for item in listing.items if item.label)
    assert fakes == {("train", variant): 4, ("validation", variant): 1, ("test", variant): 2}
    assert listing.missing() == []
    assert listing.published["test", variant] == listing.published["test", "real"] == 201
    assert listing.published["train", "real"] == 703
    assert any("distorted" in note for note in listing.notes) == ("level" in variant or "mix" in variant)


def test_a_fake_is_the_videos_person_with_the_actors_face(tree):
    items = {item.key: item for item in layout.list_videos(tree, "end_to_end").items}
    assert len(items) == 14
    fake, real = items["end_to_end/010_W006"], items["real/010"]
    assert (fake.identity, fake.source_identity) == ("youtube-010", "W006")
    assert (real.identity, real.source_identity) == ("youtube-010", "")
    assert fake.source == tree / "manipulated_videos/end_to_end/010_W006.mp4"
    assert real.source == tree / "ffpp/original_sequences/youtube/c23/videos/010.mp4"


@pytest.mark.parametrize("variant", ["end_to_end", "end_to_end__source_videos"])
def test_splits_share_neither_videos_nor_actors(tree, variant):
    where: dict[str, set[str]] = {}
    for item in layout.list_videos(tree, variant).items:
        for person in {item.identity, item.source_identity} - {""}:
            where.setdefault(person, set()).add(item.split)
    assert {len(found) for found in where.values()} == {1}


def test_its_people_are_called_as_in_faceforensics(tree):
    ffpp = tree / "ffpp"
    for name in ("train", "val", "test"):
        pairs = [["000", "001"]] if name == "train" else []
        (ffpp / f"{name}.json").write_text(json.dumps(pairs))
    theirs = {item.video_id: item.identity for item in faceforensics.list_videos(ffpp, "c23").items}
    ours = {item.video_id: item.identity for item in layout.list_videos(tree, "end_to_end").items}
    assert theirs["000"] == ours["000"] == ours["000_M101"]
    assert theirs["001"] == ours["001"] != ours["000"]


def test_splits_that_share_a_youtube_video_are_kept_and_named(tree):
    write_lists(tree, train=["755_M101"], test=["756_W101"])
    for number in ("755", "756"):
        (tree / f"ffpp/original_sequences/youtube/c23/videos/{number}.mp4").touch()
    listing = layout.list_videos(tree, "end_to_end")
    assert any("755 (train) and 756 (test)" in note for note in listing.notes)
    check_disjoint(listing.items, dataset="deeperforensics", shared=Builder.SHARED_IDENTITIES)
    check_disjoint(
        layout.list_videos(tree, "end_to_end__source_videos").items,
        dataset="d",
        shared=Builder.SHARED_IDENTITIES,
    )


def test_recordings_follow_the_fakes_of_their_actor(tree):
    listing = layout.list_videos(tree, "end_to_end_level_5__source_videos")
    reals = Counter((item.split, item.identity) for item in listing.items if item.label == 0)
    assert reals == {
        ("train", "M101"): 3,
        ("train", "W006"): 1,
        ("validation", "W007"): 1,
        ("test", "W101"): 1,
    }
    assert {item.method for item in listing.items} == {"real", "end_to_end_level_5"}
    assert "M101_BlendShape_camera_down" in {item.video_id for item in listing.items}
    assert listing.missing() == []
    assert listing.published == {(split, "end_to_end_level_5"): n for split, n in layout.PUBLISHED.items()}
    assert any("recordings have no official split" in note for note in listing.notes)


def test_the_protocols_never_mix(tree):
    def folders(variant):
        items = layout.list_videos(tree, variant).items
        return {item.source.relative_to(tree).parts[0] for item in items if item.label == 0}

    assert folders("end_to_end") == {"ffpp"}
    assert folders("end_to_end__source_videos") == {"source_videos"}


def test_absent_reals_come_with_both_remedies(tree):
    (tree / "ffpp").unlink()
    with pytest.raises(SourceError, match=r"youtube/c23/videos.*ln -s.*end_to_end__source_videos"):
        layout.list_videos(tree, "end_to_end")
    layout.list_videos(tree, "end_to_end__source_videos")


def test_absent_recordings_and_fakes_are_named(tmp_path):
    write_lists(tmp_path)
    with pytest.raises(SourceError, match=r"manipulated_videos/reenact_postprocess: the folder of fakes"):
        layout.list_videos(tmp_path, "reenact_postprocess")
    touch(tmp_path / "manipulated_videos/reenact_postprocess", FAKES)
    with pytest.raises(SourceError, match=r"source_videos: the folder of the actors' recordings"):
        layout.list_videos(tmp_path, "reenact_postprocess__source_videos")


def test_an_actor_in_no_list_is_noted_not_built(tree):
    touch(tree / "source_videos/M999/BlendShape/camera_up", ["M999_BlendShape_camera_up"])
    listing = layout.list_videos(tree, "end_to_end__source_videos")
    assert "M999" not in {item.identity for item in listing.items}
    assert "actors whom no split list names, not built: M999" in listing.notes


def test_listed_and_absent_is_missing_and_present_and_unlisted_is_noted(tree):
    folder = tree / "manipulated_videos/end_to_end"
    (folder / "012_W006.mp4").rename(folder / "999_W006.mp4")
    listing = layout.list_videos(tree, "end_to_end")
    assert [item.key for item in listing.missing()] == ["end_to_end/012_W006"]
    assert "end_to_end: videos that no split list names, not built: 1, e.g. 999_W006.mp4" in listing.notes


def test_a_missing_list_is_named_with_its_publisher(tree):
    (tree / "lists/splits/val.txt").unlink()
    with pytest.raises(SourceError, match=r"val\.txt.*github\.com/EndlessSora"):
        layout.list_videos(tree, "end_to_end")


@pytest.mark.parametrize("part", ["000_W101", "007_M101"])
def test_a_video_or_an_actor_in_two_lists_is_refused(tree, part):
    # 000 and M101 belong to train.
    write_lists(tree, test=[*LISTS["test"], part])
    shared = "'000'" if part.startswith("000") else "'M101'"
    with pytest.raises(
        SourceError, match=rf"test\.txt: '{part}' puts {shared} into a second list.*train\.txt"
    ):
        layout.list_videos(tree, "end_to_end")


@pytest.mark.parametrize("line", ["000", "000_003", "00_M101", "000_X101", "000_M101_2", "0000_M101"])
def test_a_line_of_another_form_is_named(tree, line):
    write_lists(tree, val=["018_W007", line])
    with pytest.raises(SourceError, match=rf"val\.txt, line 2: '{line}\.mp4' is not the name of a fake"):
        layout.list_videos(tree, "end_to_end")


def test_a_line_that_repeats_is_named(tree):
    write_lists(tree, val=["018_W007", "018_W007"])
    with pytest.raises(SourceError, match=r"val\.txt, line 2: '018_W007\.mp4' is listed twice"):
        layout.list_videos(tree, "end_to_end")


names = st.tuples(st.integers(0, 999).map("{:03d}".format), st.sampled_from("MW"), st.integers(0, 199))


@given(names)
def test_a_name_is_read_back(name):
    target, sex, number = name
    assert official_splits.parse_fake(f"{target}_{sex}{number:03d}") == (target, f"{sex}{number:03d}")


@given(st.text(max_size=9))
def test_a_strange_name_is_nobody(stem):
    found = official_splits.parse_fake(stem)
    assert found is None or (len(stem) == 8 and "_".join(found) == stem)


@given(
    st.lists(names.map(lambda name: f"{name[0]}_{name[1]}{name[2]:03d}"), unique=True),
    st.sampled_from(["{}", "{}.mp4", "end_to_end/{}.mp4", "  {}.mp4 "]),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_a_list_comes_back_whatever_its_form(stems, form, end):
    content = "".join(form.format(stem) + end for stem in stems)
    assert official_splits.parse_list(content, Path("train.txt")) == stems
