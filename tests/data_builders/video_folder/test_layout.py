"""Trees and tables as users have them."""

import string
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.video_folder.layout import Footage, list_videos, video_ids
from fakedetect_jax.data_builders.video_folder.table import parse_method, parse_path


def make(source: Path, *paths: str) -> Path:
    for path in paths:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).touch()
    return source


def table(source: Path, *lines: str) -> Path:
    source.mkdir(exist_ok=True)
    (source / "videos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return source


# --- the tree ---


def test_a_tree(tmp_path):
    make(
        tmp_path,
        *("real/b.mp4", "real/deep/er/a.MOV", "real/frames/1.png", "real/frames/2.png"),
        *(
            "fake/swap/x.webm",
            "fake/swap/day1/y.mkv",
            "fake/loose.avi",
            "fake/loose_frames/1.jpg",
            "fake/z/q.m4v",
        ),
    )
    listing = list_videos(tmp_path)
    assert [(item.video_id, item.method) for item in listing.items] == [
        ("real/b", "real"),
        ("real/deep/er/a", "real"),
        ("real/frames", "real"),
        ("fake/loose", "fake"),
        ("fake/loose_frames", "fake"),
        ("fake/swap/day1/y", "swap"),
        ("fake/swap/x", "swap"),
        ("fake/z/q", "z"),
    ]
    assert {item.split for item in listing.items} == {"test"}
    assert {item.identity for item in listing.items} == {""}
    assert listing.items[1].source == tmp_path / "real" / "deep" / "er" / "a.MOV"
    assert listing.items[2].source == tmp_path / "real" / "frames"
    assert listing.missing() == []


def test_names_that_differ_in_their_suffix_only_keep_it(tmp_path):
    make(tmp_path, "real/a.mp4", "real/a.avi", "real/b.mp4", "real/c.mp4", "real/c/1.png", "real/v1.5/1.png")
    assert [item.video_id for item in list_videos(tmp_path).items] == [
        *("real/a.avi", "real/a.mp4", "real/b", "real/c", "real/c.mp4", "real/v1.5"),
    ]


def test_a_name_is_not_shortened_into_the_whole_name_of_another(tmp_path):
    make(tmp_path, "real/a.avi", "real/a.mp4", "real/a.mp4.mkv")
    ids = [item.video_id for item in list_videos(tmp_path).items]
    assert ids == ["real/a.avi", "real/a.mp4", "real/a.mp4.mkv"]


def test_what_is_no_video_is_ignored_and_counted(tmp_path):
    make(
        tmp_path,
        "real/a.mp4",
        "real/a.jpg",
        "real/notes.txt",
        "real/._a.mp4",
        "real/.cache/b.mp4",
        "other/c.mp4",
    )
    listing = list_videos(tmp_path)
    assert [item.video_id for item in listing.items] == ["real/a"]
    assert listing.notes[1:] == [
        "There is no folder: fake/.",
        "Left out, as it is not in real/ or fake/: other.",
        "Left out, as the suffix is no video's (.jpg: 1, .txt: 1): real/a.jpg, real/notes.txt.",
    ]


def test_a_folder_within_a_folder_of_frames_is_no_video(tmp_path):
    make(tmp_path, "real/a/1.png", "real/a/masks/1.png")
    assert [item.video_id for item in list_videos(tmp_path).items] == ["real/a"]


@pytest.mark.parametrize(
    "suffix",
    [".mts", ".M2TS", ".ts", ".3gp", ".mpg", ".vob", ".wmv", ".flv", ".gif", ".avif", ".h264", ".mxf"],
)
def test_every_container_that_can_be_decoded_is_a_video(tmp_path, suffix):
    make(tmp_path, f"real/a{suffix}")
    assert [item.source.name for item in list_videos(tmp_path).items] == [f"a{suffix}"]


def test_clutter_is_neither_looked_at_nor_reported(tmp_path):
    make(tmp_path, "real/a.mp4", "fake/m/clip/1.png")
    before = list_videos(tmp_path)
    for place in (".", "real", "fake", "fake/m", "fake/m/clip"):
        for name in (
            "._a.mp4",
            "Thumbs.db",
            ".DS_Store",
            "desktop.ini",
            "@eaDir/a.mp4",
            "__MACOSX/a.mp4",
            ".git/1.png",
        ):
            make(tmp_path, f"{place}/{name}")
    assert list_videos(tmp_path) == before


def test_folders_may_begin_with_a_capital(tmp_path):
    make(tmp_path, "REAL/a.mp4", "Fake/M/b.mp4", "Fake/c.mp4")
    found = [(item.video_id, item.method) for item in list_videos(tmp_path).items]
    assert found == [("REAL/a", "real"), ("Fake/M/b", "M"), ("Fake/c", "fake")]


def test_what_holds_no_video_is_named(tmp_path):
    make(tmp_path, "real/a.mp4", "fake/m/clip/1.png", "fake/m/clip/masks/1.png")
    (tmp_path / "fake/empty/deeper").mkdir(parents=True)
    assert list_videos(tmp_path).notes[1:] == [
        "Without any video: fake/empty/deeper.",
        "Left out, as it is within a folder of frames: fake/m/clip/masks.",
    ]
    with pytest.raises(
        SourceError, match=r"There is no folder: fake/.*not in real/ or fake/: reals, x\.mp4\."
    ):
        list_videos(make(tmp_path / "other", "reals/a.mp4", "real/notes.txt", "x.mp4"))


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target, target_is_directory=target.is_dir())


def test_links_are_followed_inside_and_named_outside(tmp_path):
    source = make(tmp_path / "source", "real/a.mp4", "fake/m/b.mp4", "pool/p/c.mp4")
    make(tmp_path, "elsewhere/d.mp4", "source-of-others/e.mp4")
    link(source / "fake/in", Path("../pool/p"))
    link(source / "fake/file.mp4", Path("../pool/p/c.mp4"))
    link(source / "fake/out", tmp_path / "elsewhere")
    link(source / "fake/out.mp4", tmp_path / "source-of-others/e.mp4")
    link(source / "fake/gone.mp4", tmp_path / "nowhere.mp4")
    link(make(source, "fake/frames/1.png") / "fake/frames/2.png", tmp_path / "elsewhere/d.mp4")
    listing = list_videos(source)
    assert [item.video_id for item in listing.items] == ["real/a", "fake/file", "fake/in/c", "fake/m/b"]
    (note,) = [note for note in listing.notes if "leads out" in note]
    assert note.endswith(": fake/gone.mp4, fake/out.mp4, fake/out, fake/frames/2.png, fake/frames.")


def test_a_folder_is_walked_once_whatever_links_to_it(tmp_path):
    source = make(tmp_path, "real/a.mp4", "fake/m/b.mp4", "pool/p/c.mp4")
    for name, target in {
        "up": "..",
        "top": "../..",
        "self": ".",
        "other": "../real",
        "one": "../pool",
        "two": "../pool/p",
    }.items():
        link(source / "fake" / name, Path(target))
    link(source / "pool/p/loop", Path(".."))
    link(source / "fake/ring", Path("ring"))
    listing = list_videos(source)
    assert [item.video_id for item in listing.items] == ["real/a", "fake/m/b", "fake/two/c"]
    (note,) = [note for note in listing.notes if "listed already" in note]
    assert all(name in note for name in ("fake/one/p", "fake/other", "fake/self", "fake/up"))
    assert any(note.endswith("with a videos.csv): fake/top.") for note in listing.notes)


@pytest.mark.parametrize("link_first", [True, False])
def test_a_top_folder_that_is_the_other_one_counts_once(tmp_path, link_first):
    there, linked = ("fake", "real") if link_first else ("real", "fake")
    make(tmp_path, f"{there}/a.mp4")
    link(tmp_path / linked, Path(there))
    assert [item.video_id for item in list_videos(tmp_path).items] == [f"{there}/a"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("real/1.png", r"1\.png is directly"),
        ("fake/1.png", r"1\.png is directly"),
        ("fake/real/a.mp4", "cannot be called 'real'"),
        ("Videos/a.mp4", "no video in real/"),
    ],
)
def test_trees_that_cannot_be_understood(tmp_path, path, said):
    with pytest.raises(SourceError, match=said):
        list_videos(make(tmp_path, path))


PARTS = st.lists(st.text("ab.", min_size=1).filter(lambda part: set(part) != {"."}), min_size=1, max_size=3)
FILES = st.tuples(PARTS, st.sampled_from([".mp4", ".avi", ".MP4"])).map(
    lambda file: "/".join(file[0]) + file[1]
)
VIDEOS = st.one_of(st.tuples(FILES, st.just(False)), st.tuples(PARTS.map("/".join), st.just(True))).map(
    lambda pair: Footage(*pair)
)


@given(st.lists(VIDEOS, unique_by=lambda video: video.path))
def test_ids_are_distinct_and_drop_no_more_than_the_suffix(videos):
    ids = video_ids(videos)
    assert len(set(ids)) == len(ids) == len(videos)
    for video, name in zip(videos, ids, strict=True):
        short = video.path if video.is_folder else video.path[: -len(PurePosixPath(video.path).suffix)]
        assert name in (video.path, short)


# --- the table ---


def test_a_table(tmp_path):
    make(tmp_path, "a/x.mp4", "a/unlisted.mp4", "real/not_looked_at.mp4", "frames.v2/1.png")
    table(
        tmp_path,
        "path,label,method,identity,split",
        "a/x.mp4,fake,swap,anna,train",
        "./a//y.mp4,REAL,,ben,validation",
        '"with, comma.mp4",1,,,',
        "frames.v2,0,real,,test",
    )
    listing = list_videos(tmp_path)
    rows = [(i.video_id, i.method, i.label, i.identity, i.split) for i in listing.items]
    assert rows == [
        ("a/x", "swap", 1, "anna", "train"),
        ("a/y", "real", 0, "ben", "validation"),
        ("with, comma", "fake", 1, "", "test"),
        ("frames.v2", "real", 0, "", "test"),
    ]
    assert [item.video_id for item in listing.missing()] == ["a/y", "with, comma"]


def test_a_table_of_two_columns_as_a_spreadsheet_writes_it(tmp_path):
    (tmp_path / "videos.csv").write_bytes("\ufeffpath, label\r\na.mp4, fake \r\n\r\nb.mp4,0\r\n".encode())
    assert [(item.video_id, item.method) for item in list_videos(tmp_path).items] == [
        ("a", "fake"),
        ("b", "real"),
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["path,label,person", "a.mp4,1,x"], r"unknown: \['person'\]"),
        (["path,method", "a.mp4,x"], r"missing: \['label'\]"),
        (["path,label,label", "a.mp4,1,0"], "each once"),
        (["path,label", "a.mp4,1", "b.mp4,2"], r"line 3: label '2'"),
        (["path,label", "a.mp4,"], "line 2: label ''"),
        (["path,label,method", "a.mp4,real,swap"], "line 2: label 'real' contradicts method 'swap'"),
        (["path,label,method", "a.mp4,1,real"], "line 2: label '1' contradicts method 'real'"),
        (["path,label", "a.mp4,1", "b.mp4,1", "./a.mp4,1"], r"line 4: 'a.mp4' is also in line 2"),
        (["path,label,split", "a.mp4,1,val"], "line 2: split 'val'"),
        (["path,label", "../a.mp4,1"], r"line 2: path '\.\./a\.mp4'"),
        (["path,label", "/a.mp4,1"], "line 2: path '/a.mp4'"),
        (["path,label", ",1"], "line 2: path ''"),
        (["path,label", "a/" * 1600 + "a.mp4,1"], "line 2: path 'a/a.*more than 3000 bytes"),
        (["path,label", "~/a.mp4,1"], r"line 2: path '~/a\.mp4' begins with '~'.*relative"),
        (["path,label", "a.mp4,1,swap"], "line 2: more fields"),
        (["path,label"], "lists no video"),
        ([], "missing"),
    ],
)
def test_tables_that_cannot_be_understood(tmp_path, lines, said):
    with pytest.raises(SourceError, match=said):
        list_videos(table(tmp_path, *lines))


@pytest.mark.parametrize(("written", "stored"), [("\u00e9", "e\u0301"), ("e\u0301", "\u00e9")])
def test_accents_are_found_however_they_are_written(tmp_path, written, stored):
    make(tmp_path, f"caf{stored}/a.mp4")
    (item,) = list_videos(table(tmp_path, "path,label", f"caf{written}/a.mp4,0")).items
    assert item.source.exists()


def test_a_header_may_have_capitals_and_spaces(tmp_path):
    (item,) = list_videos(table(tmp_path, " Path ; LABEL".replace(";", ","), "a.mp4,1")).items
    assert (item.video_id, item.label) == ("a", 1)


PLAIN = "path,label,method,identity,split\nreal/a.mp4,real,,p1,test\nfake/m/a.mp4,fake,m,p2,test\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (PLAIN.replace(",", ";").encode(), r"';' separates.*commas"),
        (PLAIN.replace(",", "\t").encode(), r"'\\t' separates.*commas"),
        (PLAIN.encode("utf-16"), "UTF-16.*save it as UTF-8"),
        (PLAIN.encode("utf-16-le"), "line 1: a NUL byte.*UTF-16.*save it as UTF-8"),
        (PLAIN.replace("real/a", "real/Zo\u00eb").encode("cp1252"), "line 2: byte 0xeb.*save it as UTF-8"),
        (PLAIN.replace("p2", "p\0002").encode(), "line 3: a NUL byte"),
        (PLAIN.replace("real/a.mp4", "real\\a.mp4").encode(), r"line 2: path 'real\\\\a\.mp4'.*write '/'"),
        (PLAIN.replace("real/a.mp4", '"real/a.mp4').encode(), "line 2: .*quote"),
        (
            (PLAIN.replace("fake/m", '"fake/m') + "real/b.mp4,real,,p,test\n" * 9000).encode(),
            "line 3: .*quote",
        ),
        (PLAIN.replace("p1", '"p1').replace("p2", 'p2"').encode(), "line 2: .*quote"),
        (PLAIN.replace("p1", "p" * 140_000).encode(), "line 2: .*field"),
        (PLAIN.replace("a.mp4,fake", "a" * 256 + ",fake").encode(), "line 3: path .*255"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "Git LFS pointer.*git lfs pull",
        ),
        (b"path,label\n\n\n\n/a.mp4,1\n", "line 5: path"),
        (b"path,label\r\ra.mp4,2\r", "line 3: label"),
    ],
    ids=str,
)
def test_a_table_that_another_program_wrote_names_line_and_remedy(tmp_path, content, said):
    (tmp_path / "videos.csv").write_bytes(content)
    with pytest.raises(SourceError, match=rf"videos\.csv.*{said}") as caught:
        list_videos(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@given(st.binary(max_size=60) | st.text(',;"\n\r\\a0é', max_size=40).map(str.encode))
def test_any_bytes_are_a_table_or_a_source_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("table")
    (folder / "videos.csv").write_bytes(b"path,label\n" + content)
    said = "videos.csv"
    try:
        list_videos(folder)
    except SourceError as error:
        said = str(error)
    assert "videos.csv" in said


@given(st.text(string.ascii_letters + "./\\: ", max_size=12))
def test_a_path_of_a_table_stays_inside(text):
    try:
        path = parse_path(text, "here")
    except SourceError:
        return
    root = Path("/videos/of/all")
    assert (root / path).resolve().is_relative_to(root)
    assert path == str(PurePosixPath(path)) != "."
    assert parse_path(path, "here") == path


@given(
    st.sampled_from(["0", "1", "real", "fake", "Real", "FAKE"]), st.sampled_from(["", "real", "swap", "fake"])
)
def test_label_and_method_agree_or_are_refused(label, method):
    is_fake = label.lower() in ("1", "fake")
    if method and (method != "real") != is_fake:
        with pytest.raises(SourceError, match="contradicts"):
            parse_method(label, method, "here")
    else:
        assert parse_method(label, method, "here") == (method or ("fake" if is_fake else "real"))
