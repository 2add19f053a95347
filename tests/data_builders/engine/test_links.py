"""Links of a download may not lead out of it."""

from pathlib import Path

import pytest

from fakedetect_jax.data_builders.deeperforensics.deeperforensics_dataset_builder import Builder
from fakedetect_jax.data_builders.engine.build import check
from fakedetect_jax.data_builders.engine.links import check_links, leads_out
from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.engine.video_item import VideoItem


@pytest.fixture
def source(tmp_path):
    for path in ("source/in/a.mp4", "source/frames/1.png", "source-b/private.mp4"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path / "source"


def item(path: Path | str, mask: Path | None = None) -> VideoItem:
    return VideoItem("v", "test", "real", path, "", mask=mask)


def test_links_within_the_source_are_good(source):
    (source / "link.mp4").symlink_to("in/a.mp4")
    (source / "folder").symlink_to("in")
    (source / "frames/2.png").symlink_to("1.png")
    paths = [source / name for name in ("in/a.mp4", "link.mp4", "folder/a.mp4", "frames", "missing/x.mp4")]
    check_links([*map(item, paths), item("rendered")], source)
    assert not any(leads_out(path, source) for path in paths)


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("place", ["file", "folder", "frame", "mask", "nowhere"])
def test_a_link_out_of_the_source_is_refused_by_name(source, place, relative):
    outside = Path("../source-b") if relative else source.with_name("source-b")
    target = {"folder": outside, "nowhere": outside / "none.mp4"}.get(place, outside / "private.mp4")
    if place == "frame":
        link, video = source / "frames/2.png", source / "frames"
        target = Path("..") / target if relative else target
    else:
        link = source / "link"
        video = link / "private.mp4" if place == "folder" else link
    link.symlink_to(target)
    listed = item(source / "in/a.mp4", mask=link) if place == "mask" else item(video)
    with pytest.raises(
        SourceError, match=r"a symbolic link leads out of .*source, to .*source-b.*; copy or mount"
    ):
        check_links([item(source / "in/a.mp4"), listed], source)
    check_links([listed], source.parent)


def test_a_loop_of_links_is_a_video_that_is_missing(source):
    (source / "a.mp4").symlink_to("b.mp4")
    (source / "b.mp4").symlink_to("a.mp4")
    check_links([item(source / "a.mp4")], source)


def test_a_folder_that_the_user_is_told_to_link_may_lie_elsewhere(source):
    (source / "ffpp").symlink_to("../source-b")
    videos = [item(source / "ffpp/private.mp4")]
    with pytest.raises(SourceError, match="leads out of"):
        check_links(videos, source)
    check_links(videos, source, Builder.LINKED)


def test_a_table_cannot_name_a_video_behind_a_link(source):
    (source / "x.mp4").symlink_to("../source-b/private.mp4")
    (source / "videos.csv").write_text("path,label\nin/a.mp4,0\nx.mp4,1\n")
    with pytest.raises(SourceError, match=r"source/x\.mp4: a symbolic link leads out"):
        check("video_folder", source=source)
    (source.parent / "videos.csv").write_text("path,label\nsource/in/a.mp4,0\nsource/x.mp4,1\n")
    assert len(check("video_folder", source=source.parent).items) == 2


def test_a_source_may_be_a_link_itself(source):
    linked = source.with_name("linked")
    linked.symlink_to(source)
    (linked / "real").mkdir()
    (linked / "in/a.mp4").rename(linked / "real/a.mp4")
    (found,) = check("video_folder", source=linked).items
    assert found.source == linked / "real/a.mp4"
