"""Folders, names, the reversed test list and our validation split of Celeb-DF, with the traps planted."""

from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data_builders.celeb_df import layout, names, official_test_list, validation
from fakedetect_jax.data_builders.engine.source_files import SourceError

# Three groups of people who were never swapped with each other: one of six, one of three, one of two.
GROUPS = (
    ("id0", "id1", "id2", "id3", "id4", "id6"),
    ("id7", "id10", "id11"),
    ("id59", "id60"),
)
PEOPLE = [person for group in GROUPS for person in group]
REALS = [f"{person}_{number:04d}" for person in PEOPLE for number in range(3)]
FAKES = [f"{a}_{b}_{n:04d}" for group in GROUPS for a, b in permutations(group, 2) for n in range(3)]
YOUTUBE = [f"{number:05d}" for number in range(20)]
LIST = """1 YouTube-real/00003.mp4
1 YouTube-real/00004.mp4
1 Celeb-real/id0_0001.mp4
0 Celeb-synthesis/id0_id1_0001.mp4
0 Celeb-synthesis/id10_id7_0002.mp4
"""


def make(root: Path, youtube: str = "YouTube-real", inner: str = "", content: str = LIST) -> Path:
    for name, stems in (("Celeb-real", REALS), (youtube, YOUTUBE), ("Celeb-synthesis", FAKES)):
        folder = root / name / inner
        folder.mkdir(parents=True)
        for stem in stems:
            (folder / f"{stem}.mp4").touch()
    (root / "List_of_testing_videos.txt").write_text(content)
    return root


def by_key(listing):
    found = {item.key: item for item in listing.items}
    assert len(found) == len(listing.items)
    return found


@pytest.mark.parametrize("variant", ["v2", "v1"])
@pytest.mark.parametrize("youtube", ["YouTube-real", "Youtube-real"])
@pytest.mark.parametrize("inner", ["", "videos"])
def test_every_layout_in_use_gives_the_same_videos(tmp_path, variant, youtube, inner):
    listing = layout.list_videos(make(tmp_path, youtube, inner), variant)
    counts = Counter((item.method, item.label) for item in listing.items)
    assert counts == {("real", 0): 33 + 20, ("Celeb-synthesis", 1): 3 * (30 + 6 + 2)}
    assert listing.missing() == []


def test_the_lists_ones_are_real(tmp_path):
    items = layout.list_videos(make(tmp_path), "v2").items
    assert {(item.key, item.label) for item in items if item.split == "test"} == {
        ("real/youtube-00003", 0),
        ("real/youtube-00004", 0),
        ("real/id0_0001", 0),
        ("Celeb-synthesis/id0_id1_0001", 1),
        ("Celeb-synthesis/id10_id7_0002", 1),
    }


def test_names_tell_who_is_seen_and_whose_face_it_is(tmp_path):
    items = by_key(layout.list_videos(make(tmp_path), "v2"))
    people = {key: (item.identity, item.source_identity) for key, item in items.items()}
    assert people["real/id10_0002"] == ("id10", "")
    assert people["Celeb-synthesis/id7_id11_0000"] == ("id7", "id11")
    assert people["real/youtube-00012"] == ("youtube-00012", "")
    assert items["real/youtube-00012"].source == tmp_path / "YouTube-real/00012.mp4"


def test_validation_shares_nobody_with_train_and_loses_no_fake(tmp_path):
    items = layout.list_videos(make(tmp_path), "v2").items
    people = {"train": set(), "validation": set(), "test": set()}
    for item in items:
        people[item.split] |= {item.identity, item.source_identity} - {""}
    assert not people["train"] & people["validation"]
    assert people["train"] | people["validation"] | people["test"] == {
        *PEOPLE,
        *(f"youtube-{stem}" for stem in YOUTUBE),
    }
    # Two fakes are in the test list. The group of six has 89 of the other 112: it cannot be the fifth.
    fakes = Counter(item.split for item in items if item.label)
    assert sum(fakes.values()) == 114
    assert 0 < fakes["validation"] <= 112 / 5
    assert not people["validation"] & set(GROUPS[0])
    youtube = Counter(item.split for item in items if item.video_id.startswith("youtube"))
    assert youtube == {"test": 2, "validation": 4, "train": 14}


def test_the_notes_say_what_is_ours_and_that_test_shares_people(tmp_path):
    listing = layout.list_videos(make(tmp_path), "v2")
    held = {item.identity for item in listing.items if item.split == "validation" and "id" in item.identity}
    ours = next(note for note in listing.notes if "no official validation" in note)
    assert all(person in ours for person in held if not person.startswith("youtube"))
    assert "4 YouTube videos" in ours
    # id0, id1, id7, id10 of the list have other videos; the two YouTube people do not.
    assert any("4 of the 6 people" in note for note in listing.notes)


def test_all_people_in_one_group_cannot_be_held_out(tmp_path):
    make(tmp_path)
    for a, b in (("id0", "id7"), ("id7", "id59")):
        (tmp_path / f"Celeb-synthesis/{a}_{b}_0000.mp4").touch()
    listing = layout.list_videos(tmp_path, "v2")
    assert {item.split for item in listing.items} == {"train", "test"}
    assert any("there is no validation split" in note for note in listing.notes)


def test_counts_are_compared_with_the_publishers(tmp_path):
    listing = layout.list_videos(make(tmp_path), "v1")
    assert "Celeb-synthesis: 114 videos found, the publisher counts 795 in v1" in listing.notes
    assert listing.published == {}
    published = layout.list_videos(tmp_path, "v2").published
    assert published == {("test", "real"): 178, ("test", "Celeb-synthesis"): 340}


def test_a_listed_video_that_is_not_there_is_missing_not_gone(tmp_path):
    make(tmp_path)
    (tmp_path / "Celeb-synthesis/id10_id7_0002.mp4").unlink()
    missing = layout.list_videos(tmp_path, "v2").missing()
    assert [(item.key, item.split) for item in missing] == [("Celeb-synthesis/id10_id7_0002", "test")]


def test_a_file_of_another_name_is_counted_not_built(tmp_path):
    make(tmp_path)
    (tmp_path / "Celeb-real/._id0_0000.mp4").touch()
    (tmp_path / "Celeb-real/id0_id1_0000.mp4").touch()  # a fake among the reals
    listing = layout.list_videos(tmp_path, "v2")
    assert sum(item.method == "real" for item in listing.items) == 33 + 20
    assert any(
        note == "Celeb-real: videos whose names do not fit, not built: 1, e.g. id0_id1_0000.mp4"
        for note in listing.notes
    )


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("0 Celeb-real/id0_0002.mp4", "label 0 in Celeb-real.*1 is real"),
        ("1 Celeb-synthesis/id0_id1_0000.mp4", "label 1 in Celeb-synthesis.*1 is real"),
        ("0 Youtube-real/00001.mp4", "label 0 in YouTube-real"),
        ("1 Celeb-reel/id0_0002.mp4", "names folder 'Celeb-reel'"),
        ("1 Celeb-real/id0_id1_0002.mp4", "'id0_id1_0002', but no file of Celeb-real"),
        ("Celeb-real/id0_0002.mp4", "is not '<label> <folder>/<file>.mp4'"),
        ("2 Celeb-real/id0_0002.mp4", "is not '<label> <folder>/<file>.mp4'"),
    ],
)
def test_a_wrong_line_of_the_list_is_named(tmp_path, line, named):
    make(tmp_path, content=f"{LIST}\n{line}\n")
    with pytest.raises(SourceError, match=rf"List_of_testing_videos\.txt, line 7: '{line}'.*{named}"):
        layout.list_videos(tmp_path, "v2")


def test_either_spelling_is_read_in_the_list(tmp_path):
    make(tmp_path, content=LIST.replace("YouTube-real/00003", "Youtube-real/videos/00003"))
    assert by_key(layout.list_videos(tmp_path, "v2"))["real/youtube-00003"].split == "test"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (LIST.encode("utf-16"), "UTF-16; save it as UTF-8"),
        (LIST.replace("id10_id7", "id\u00e9").encode("cp1252"), "line 5: byte 0xe9 .*save it as UTF-8"),
        (LIST.replace("id10_id7", "id\0").encode(), "line 5: a NUL byte"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "Git LFS pointer.*git lfs pull",
        ),
    ],
    ids=str,
)
def test_a_list_that_is_not_text_is_an_error_with_the_remedy(tmp_path, content, said):
    make(tmp_path)
    (tmp_path / "List_of_testing_videos.txt").write_bytes(content)
    with pytest.raises(SourceError, match=rf"List_of_testing_videos\.txt.*{said}"):
        layout.list_videos(tmp_path, "v2")


def test_an_empty_or_missing_list_is_an_error(tmp_path):
    make(tmp_path, content="\n")
    with pytest.raises(SourceError, match="lists no video"):
        layout.list_videos(tmp_path, "v2")
    (tmp_path / "List_of_testing_videos.txt").unlink()
    with pytest.raises(SourceError, match=r"List_of_testing_videos\.txt.*github\.com/yuezunli"):
        layout.list_videos(tmp_path, "v2")


def test_a_missing_folder_is_named(tmp_path):
    make(tmp_path, youtube="youtube")
    with pytest.raises(SourceError, match="YouTube-real: the folder is missing"):
        layout.list_videos(tmp_path, "v2")


def test_ambiguous_folders_are_refused(tmp_path):
    make(tmp_path)
    (tmp_path / "Celeb-real/videos").mkdir()
    with pytest.raises(SourceError, match="holds videos and a folder videos/"):
        layout.list_videos(tmp_path, "v2")
    (tmp_path / "Celeb-real/videos").rmdir()
    (tmp_path / "Youtube-real").mkdir()
    if len(list(tmp_path.glob("*real"))) == 3:  # the file system tells the spellings apart
        with pytest.raises(SourceError, match="YouTube-real and Youtube-real"):
            layout.list_videos(tmp_path, "v2")


ids = st.integers(0, 61).map("id{}".format)
numbers = st.integers(0, 9999).map("{:04d}".format)


@given(ids, ids, numbers)
def test_names_are_read_back_in_their_folder_only(target, donor, number):
    real, fake, youtube = f"{target}_{number}", f"{target}_{donor}_{number}", f"0{number}"
    assert names.parse("Celeb-real", real) == (target, "")
    assert names.parse("Celeb-synthesis", fake) == (target, donor)
    assert names.parse("YouTube-real", youtube) == (f"youtube-0{number}", "")
    wrong = [("Celeb-real", fake), ("Celeb-real", youtube), ("Celeb-synthesis", real), ("YouTube-real", real)]
    assert [names.parse(*pair) for pair in wrong] == [None] * 4


videos = st.one_of(
    st.tuples(st.just("Celeb-real"), st.builds("{}_{}".format, ids, numbers)),
    st.tuples(st.just("Celeb-synthesis"), st.builds("{}_{}_{}".format, ids, ids, numbers)),
    st.tuples(st.just("YouTube-real"), numbers),
)


@given(st.lists(videos, min_size=1, unique=True))
def test_a_list_comes_back_as_written(listed):
    lines = [f"{0 if kind == 'Celeb-synthesis' else 1} {kind}/{stem}.mp4" for kind, stem in listed]
    assert official_test_list.parse_test_list("\n".join(lines), Path("list.txt")) == listed


@given(st.text())
def test_any_text_is_a_list_or_a_source_error(content):
    try:
        assert official_test_list.parse_test_list(content, Path("list.txt"))
    except SourceError:
        assert not content.startswith("1 Celeb-real/id0_0000.mp4\n")


swaps = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3)), min_size=1).map(
    # People are linked only to people up to 3 further, so that there are often several groups.
    lambda pairs: [(f"id{first}", f"id{first + step}") for first, step in pairs]
)


@given(swaps, st.integers(0, 5), st.floats(0.05, 0.5))
def test_a_draw_never_cuts_a_swap_and_keeps_its_share(pairs, seed, share):
    drawn = validation.draw_people(pairs, share=share, seed=seed)
    inside = [a in drawn for a, _ in pairs]
    assert inside == [b in drawn for _, b in pairs]
    assert validation.draw_people(pairs[::-1], share=share, seed=seed) == drawn
    groups = set(validation.linked_groups(pairs).values())
    assert bool(drawn) == (len(groups) > 1)
    assert sum(inside) < len(inside)
    drawn_groups = {validation.linked_groups(pairs)[person] for person in drawn}
    assert sum(inside) <= share * len(pairs) or len(drawn_groups) == 1


@given(swaps)
def test_groups_are_the_connected_ones(pairs):
    groups = validation.linked_groups(pairs)
    # Independent of any traversal: lower every label to its neighbour's until nothing changes.
    label = {person: person for pair in pairs for person in pair}
    changed = True
    while changed:
        changed = False
        for a, b in pairs:
            low = min(label[a], label[b])
            changed |= label[a] != low or label[b] != low
            label[a] = label[b] = low
    assert groups == label
