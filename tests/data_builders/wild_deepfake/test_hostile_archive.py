"""Archives made to harm their reader: each fails by name, at little cost."""

import errno
import gzip
import os
import resource
import tarfile
from pathlib import Path

import pytest

from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.wild_deepfake import archive as archive_module
from fakedetect_jax.data_builders.wild_deepfake.archive import Limits, natural_key, read_images
from fakedetect_jax.data_builders.wild_deepfake.layout import list_videos
from fakedetect_jax.faces import VideoError


def header(kind: bytes, size: int, name: str = "1/1.png") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def block(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(**fields: bytes) -> bytes:
    records = b""
    for key, value in fields.items():
        line = b" " + key.replace("_", ".").encode() + b"=" + value + b"\n"
        size = len(line) + 1
        while len(f"{size}") + len(line) != size:
            size += 1
        records += f"{size}".encode() + line
    return header(tarfile.XHDTYPE, len(records)) + block(records)


IMAGE = header(tarfile.REGTYPE, 1) + block(b"x")
LONG = header(tarfile.GNUTYPE_LONGNAME, 1 << 20)


def write(path: Path, tar: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(tar + bytes(1024), compresslevel=6))
    return path


FAULTS = {
    "NUL in a pax path": (pax(path=b"1/a\0b/1.png") + IMAGE, r"the name '1/a\\x00b/1\.png' is not printable text"),
    "path of other bytes": (pax(path=b"1/caf\xe9/1.png") + IMAGE, r"the name '1/caf\\udce9/1\.png' is not printable"),
    "name of other bytes": (header(tarfile.REGTYPE, 0, "1/caf\udce9/1.png"), r"\\udce9/1\.png' is not printable text"),
    "escape": (header(tarfile.REGTYPE, 0, "1/\x1b[2J/1.png"), r"'1/\\x1b\[2J/1\.png' is not printable text"),
    "long name": (pax(path=b"1/" + b"a" * 300 + b"/1.png") + IMAGE, "not printable text of at most 255 characters"),
    "sparse map": (pax(GNU_sparse_map=b"a,b", GNU_sparse_size=b"1") + IMAGE, "a member has holes"),
    "sparse 1.0": (pax(GNU_sparse_major=b"1", GNU_sparse_minor=b"0") + IMAGE, "a member has holes"),
    "pax without length": (header(tarfile.XHDTYPE, 9) + block(b"path=a/b\n") + IMAGE, "extended header is broken"),
    "pax of length 0": (header(tarfile.XHDTYPE, 9) + block(b"0 path=a\n") + IMAGE, "extended header is broken"),
    "pax beyond its end": (header(tarfile.XHDTYPE, 9) + block(b"99 path=\n") + IMAGE, "extended header is broken"),
    "pax with a tail": (header(tarfile.XHDTYPE, 12) + block(b"9 a=bcde\nxyz") + IMAGE, "extended header is broken"),
    "pax size": (pax(size=b"-1") + IMAGE, "a size that is not a number"),
    "path of all": (pax(path=b"2/2.png").replace(b"x" + bytes(100), b"g" + bytes(100), 1), "path or size for all"),
    "3,000 headers": ((header(tarfile.GNUTYPE_LONGNAME, 2) + block(b"a\0")) * 3000 + IMAGE, "9 headers before it"),
    "3,000 pax": (pax(comment=b"a") * 3000 + IMAGE, "9 headers before it"),
    "long link": (header(tarfile.GNUTYPE_LONGLINK, 70_000) + bytes(70_144) + IMAGE, "of 70000 bytes; the limits"),
    "negative size": (IMAGE.replace(b"00000000001\0", b"\xff" * 11 + b"\xfe", 1), "states -2 bytes"),
    "the same name twice": (IMAGE + header(tarfile.REGTYPE, 1, "./1//1.png") + block(b"y"), r"1\.png' twice"),
    "header within": (IMAGE + b"x" * 512 + IMAGE, "invalid header|bad checksum"),
    "cut in a header": (IMAGE + header(tarfile.REGTYPE, 1)[:100], "bad checksum"),
}  # fmt: skip


@pytest.mark.parametrize(("tar", "message"), FAULTS.values(), ids=FAULTS)
def test_what_nobody_would_write_is_one_archive_that_failed(tmp_path, tar, message):
    path = write(tmp_path / "real_test" / "7.tar.gz", _checked(tar))
    write(tmp_path / "real_test" / "8.tar.gz", IMAGE)
    with pytest.raises(VideoError, match=rf"7\.tar\.gz: the archive is damaged \(.*{message}"):
        list(read_images(path))
    listing = list_videos(tmp_path)
    assert [item.video_id for item in listing.items] == ["test-7-unreadable", "test-8-1"]
    assert all(note.isprintable() for note in listing.notes)


def _checked(tar: bytes) -> bytes:
    """With the right checksum in the first header."""
    total = sum(tar[:148]) + 8 * 32 + sum(tar[156:512])
    return tar[:148] + f"{total:06o}\0 ".encode() + tar[156:]


def test_headers_that_are_no_members_cost_little_memory(tmp_path):
    """A file of 0.1 MB that tarfile reads into 100 MB, within limits of 5 and 10 MB."""
    path = write(tmp_path / "bomb.tar.gz", (LONG + bytes(1 << 20)) * 100 + IMAGE)
    assert path.stat().st_size < 150_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(VideoError, match=r"bomb\.tar\.gz.*of 1048576 bytes; the limits are 8 and 65536"):
        list(read_images(path, Limits(member_bytes=5_000_000, total_bytes=10_000_000)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


def test_headers_count_in_the_total(tmp_path):
    long_name = header(tarfile.GNUTYPE_LONGNAME, 60_000) + block(b"1/1.txt\0" + bytes(59_992))
    path = write(tmp_path / "big.tar.gz", (long_name + header(tarfile.REGTYPE, 0)) * 50)
    assert list(read_images(path, Limits(total_bytes=4_000_000))) == []
    with pytest.raises(SourceError, match=r"big\.tar\.gz: at byte .*limits"):
        list(read_images(path, Limits(total_bytes=2_000_000)))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_SPARSE, b"V", b"D", b"?"])
def test_members_of_other_kinds_are_refused(tmp_path, kind):
    path = write(tmp_path / "odd.tar.gz", header(kind, 0))
    with pytest.raises(SourceError, match=r"odd\.tar\.gz.*1/1\.png.*not an image or a folder"):
        list(read_images(path))


def test_messages_do_not_grow_with_the_names(tmp_path):
    path = write(tmp_path / "long.tar.gz", pax(path=b"../" * 20_000) + IMAGE)
    with pytest.raises(SourceError, match="leads outside") as caught:
        list(read_images(path))
    assert len(str(caught.value)) < 1000


def test_a_git_lfs_pointer_is_called_one(tmp_path):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1234567\n"
    (tmp_path / "fake_test").mkdir()
    (tmp_path / "fake_test" / "1.tar.gz").write_text(pointer)
    (item,) = list_videos(tmp_path).items
    assert "1.tar.gz: is a Git LFS pointer" in item.source.damage
    assert "git lfs pull" in item.source.damage


def test_what_is_no_file_is_one_archive_that_failed(tmp_path):
    folder = tmp_path / "real_test"
    (folder / "1.tar.gz").mkdir(parents=True)
    os.mkfifo(folder / "2.tar.gz")
    (folder / "3.tar.gz").symlink_to("nowhere")
    (folder / "4.tar.gz").symlink_to("4.tar.gz")
    write(folder / "5.tar.gz", IMAGE)
    items = list_videos(tmp_path).items
    assert [item.video_id for item in items] == [*(f"test-{n}-unreadable" for n in range(1, 5)), "test-5-1"]
    assert all(f"{number}.tar.gz: " in item.source.damage for number, item in enumerate(items[:4], 1))


def test_clutter_is_neither_an_archive_nor_an_image(tmp_path):
    names = ("1/1.png", "1/._1.png", "__MACOSX/1/2.png", "@eaDir/3.png", ".git/4.png")
    tar = b"".join(header(tarfile.REGTYPE, 1, name) + block(b"x") for name in names)
    write(tmp_path / "real_test/1.tar.gz", tar)
    (tmp_path / "real_test/._1.tar.gz").write_bytes(b"x")
    listing = list_videos(tmp_path)
    assert [item.video_id for item in listing.items] == ["test-1-1"]
    assert not any("cannot be read" in note for note in listing.notes)


def test_trouble_of_the_moment_is_not_the_archive(tmp_path, monkeypatch):
    path = write(tmp_path / "1.tar.gz", IMAGE)

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(archive_module, "read_members", fail)
    with pytest.raises(OSError, match="Input/output") as caught:
        list(read_images(path))
    assert not isinstance(caught.value, VideoError)


def test_an_archive_whose_own_name_is_no_text(tmp_path):
    folder = tmp_path / "real_test"
    folder.mkdir()
    for name in (b"\xb2.tar.gz", "\u00b21.tar.gz".encode(), b"10.tar.gz"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(gzip.compress(IMAGE + bytes(1024)))
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.tar.gz")).write_bytes(b"broken")
    listing = list_videos(tmp_path)
    ids = {item.video_id for item in listing.items}
    assert ids == {r"test-\xb2-1", "test-\u00b21-1", "test-10-1", r"test-\xff-unreadable"}
    for text in (
        *ids,
        *listing.notes,
        *(item.source.damage for item in listing.items),
        *map(str, listing.items),
    ):
        text.encode()


def test_the_natural_order_of_names():
    assert sorted(["10.png", "9.png"], key=natural_key) == ["9.png", "10.png"]
    assert sorted(["a10", "a2", "\u00b21"], key=natural_key) == ["a2", "a10", "\u00b21"]


def test_images_of_a_stream_that_breaks_off_at_every_place(tmp_path):
    tar = pax(path=b"1/2/3.png") + IMAGE + IMAGE + bytes(1024)
    for end in range(0, len(tar), 64):
        path = tmp_path / "cut.tar.gz"
        path.write_bytes(gzip.compress(tar[:end]))
        # Without the zeros of its end a tar is whole, as tarfile sees it too.
        whole = end in (1024 + 1024, 1024 + 2048) or end >= len(tar) - 512
        if whole:
            assert len(list(read_images(path))) == (1 if end == 2048 else 2)
            continue
        with pytest.raises(VideoError, match=r"cut\.tar\.gz: the archive is damaged"):
            list(read_images(path))
