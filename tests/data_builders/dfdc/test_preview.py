"""Small trees in the layout of DFDC's preview, with their traps."""

import json
import string
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data_builders.dfdc.layout import list_videos
from fakedetect_jax.data_builders.dfdc.preview import draw_actors, parse_actors
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.video_item import VideoItem


def real(actor: int, split: str = "train") -> tuple[str, dict]:
    return f"original_videos/{actor}/{actor}_A_001.mp4", {"label": "real", "set": split}


def fake(target: int, source: int, method: str = "A", split: str = "train") -> tuple[str, dict]:
    return (
        f"method_{method}/{target}/{target}_A/{source}_{target}_A_001.mp4",
        {"label": "fake", "set": split},
    )


def make_preview(source: Path, entries: list[tuple[str, dict]]) -> Path:
    (source / "dataset.json").write_text(json.dumps(dict(entries)))
    for key, _ in entries:
        (source / key).parent.mkdir(parents=True, exist_ok=True)
        (source / key).touch()
    return source


def test_the_items_of_the_preview(tmp_path):
    make_preview(tmp_path, [real(90, "test"), fake(90, 91, "B", "test"), fake(90, 91, "A", "test")])
    items = {item.key: item for item in list_videos(tmp_path, "preview").items}
    assert set(items) == {"real/90_A_001", "method_A/91_90_A_001", "method_B/91_90_A_001"}
    swap = items["method_B/91_90_A_001"]
    assert (swap.split, swap.identity, swap.source_identity, swap.label) == ("test", "90", "91", 1)
    assert swap.source == tmp_path / "method_B" / "90" / "90_A" / "91_90_A_001.mp4"
    assert (items["real/90_A_001"].identity, items["real/90_A_001"].source_identity) == ("90", "")


def test_actors_who_are_swapped_go_to_validation_together(tmp_path):
    pairs = [(2 * number, 2 * number + 1) for number in range(10)]
    entries = [real(actor) for pair in pairs for actor in pair]
    entries += [fake(a, b) for a, b in pairs] + [fake(b, a, "B") for a, b in pairs]
    listing = list_videos(make_preview(tmp_path, entries), "preview")
    assert len(listing.items) == 40
    assert Counter(item.split for item in listing.items) == {"train": 36, "validation": 4}
    assert any("0 fakes" in note and "2 actors" in note for note in listing.notes)


def test_fakes_between_validation_and_training_actors_are_left_out_and_counted(tmp_path):
    actors = range(10)
    entries = [real(actor) for actor in actors] + [fake(a, b) for a in actors for b in actors if a != b]
    listing = list_videos(make_preview(tmp_path, entries), "preview")
    seen = {"train": set(), "validation": set()}
    for item in listing.items:
        seen[item.split] |= {item.identity, item.source_identity} - {""}
    assert (len(seen["validation"]), len(seen["train"])) == (1, 9)
    assert not seen["train"] & seen["validation"]
    # The drawn actor is the target of 9 fakes and the source of 9.
    assert len(listing.items) == len(entries) - 18
    assert any("18 fakes" in note for note in listing.notes)


def test_preview_names_that_tell_no_actor_train_and_are_counted(tmp_path):
    odd = ("method_A/x/oddname.mp4", {"label": "fake", "set": "train"})
    listing = list_videos(make_preview(tmp_path, [odd, real(1), real(2)]), "preview")
    (item,) = [item for item in listing.items if item.video_id == "oddname"]
    assert (item.split, item.identity, item.method) == ("train", "", "method_A")
    assert any(note.startswith("Videos that do not name their actors: 1,") for note in listing.notes)


def test_actors_that_dataset_json_has_in_both_sets_are_noted(tmp_path):
    make_preview(tmp_path, [real(1), real(2), fake(3, 2, "A", "test")])
    assert any("in train and in test: 1," in note for note in list_videos(tmp_path, "preview").notes)


def test_preview_videos_that_are_missing_or_unlisted(tmp_path):
    make_preview(tmp_path, [real(1), real(2)])
    (tmp_path / "original_videos" / "1" / "1_A_001.mp4").rename(tmp_path / "original_videos" / "extra.mp4")
    listing = list_videos(tmp_path, "preview")
    assert [item.video_id for item in listing.missing()] == ["1_A_001"]
    assert any("original_videos/extra.mp4" in note for note in listing.notes)


@pytest.mark.parametrize(
    ("key", "entry", "said"),
    [
        ("method_C/1/x.mp4", {"label": "fake", "set": "train"}, "method_C"),
        ("method_A/1/x.mp4", {"label": "real", "set": "train"}, "contradicts"),
        ("original_videos/1/x.mp4", {"label": "fake", "set": "train"}, "contradicts"),
        ("method_A/1/x.mp4", {"label": "fake", "set": "val"}, "'val'"),
        ("method_A/1/x.mp4", {"set": "train"}, "None"),
        ("method_A/1/x.mp4", {"label": ["fake"], "set": "train"}, "['fake']"),
        ("method_A/1/x.mp4", {"label": "fake", "set": {}}, "{}"),
        ("method_A/../../x.mp4", {"label": "fake", "set": "train"}, "below its folder"),
        ("method_A", {"label": "fake", "set": "train"}, "below its folder"),
        ("method_A//etc/x.mp4", {"label": "fake", "set": "train"}, "below its folder"),
    ],
)
def test_preview_entries_that_contradict(tmp_path, key, entry, said):
    (tmp_path / "dataset.json").write_text(json.dumps({key: entry}))
    with pytest.raises(SourceError, match=said) as caught:
        list_videos(tmp_path, "preview")
    assert key in str(caught.value)


def test_preview_without_its_list(tmp_path):
    with pytest.raises(SourceError, match=r"dataset\.json.*dfdc_preview_set\.zip"):
        list_videos(tmp_path, "preview")


@given(st.integers(0), st.integers(0), st.text(string.ascii_uppercase, min_size=1), st.integers(0, 999))
def test_actors_of_any_official_name(target, source, clip, number):
    fake_name = f"method_B/{target}/{target}_{clip}/{source}_{target}_{clip}_{number:03}.mp4"
    assert parse_actors(fake_name) == (str(target), str(source))
    real_name = f"original_videos/{target}/{target}_{clip}_{number:03}.mp4"
    assert parse_actors(real_name) == (str(target), "")


@given(st.sets(st.tuples(st.integers(0, 12), st.integers(0, 12))), st.floats(0, 1), st.integers(0, 5))
def test_a_draw_of_actors_is_of_the_asked_size_and_ignores_order(pairs, share, seed):
    items = [VideoItem(f"{a}_{b}", "train", "method_A", None, str(a), str(b)) for a, b in sorted(pairs)]
    drawn = draw_actors(items, share=share, seed=seed)
    actors = {str(actor) for pair in pairs for actor in pair}
    assert drawn <= actors
    if len(actors) >= 2:
        assert 1 <= len(drawn) < len(actors)
        assert abs(len(drawn) - share * len(actors)) <= 1
    assert draw_actors(items[::-1], share=share, seed=seed) == drawn
