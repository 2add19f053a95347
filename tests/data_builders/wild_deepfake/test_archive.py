"""What an archive must not be able to do to its reader."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakedetect_jax.data_builders.engine.source_files import SourceError
from fakedetect_jax.data_builders.wild_deepfake.archive import Image, Limits, read_images
from fakedetect_jax.faces import VideoError


def pack(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


def member(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, data


def test_images_come_in_stored_order_and_nothing_else_comes(tmp_path):
    path = pack(
        tmp_path / "a.tar.gz",
        [
            member("./1", kind=tarfile.DIRTYPE),
            member("./1/fake/2/10.png", b"ten"),
            member("./1/fake/2/9.PNG", b"nine"),
            member("./1/fake/2/note.txt"),
            member("./1/fake/2/._9.png"),
        ],
    )
    assert list(read_images(path)) == [
        Image("1/fake/2", "10.png", b"ten"),
        Image("1/fake/2", "9.PNG", b"nine"),
    ]


@pytest.mark.parametrize(
    "name",
    ["/etc/1.png", "../1.png", "a/../../1.png", "..", "C:/1.png", "C:1.png", "a\\..\\..\\1.png", "\\1.png"],
)
def test_paths_that_lead_outside_are_refused(tmp_path, name):
    path = pack(tmp_path / "bad.tar.gz", [member("1/1.png"), member(name)])
    with pytest.raises(SourceError, match=r"bad\.tar\.gz") as caught:
        list(read_images(path))
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path, kind):
    path = pack(tmp_path / "bad.tar.gz", [member("1/1.png", kind=kind, link="/etc/passwd")])
    with pytest.raises(SourceError, match=r"bad\.tar\.gz.*1/1\.png.*link or a device"):
        list(read_images(path))


@pytest.mark.parametrize(
    "limits",
    [Limits(members=2), Limits(member_bytes=99), Limits(total_bytes=299)],
    ids=["count", "one", "all"],
)
def test_more_than_the_limits_is_refused(tmp_path, limits):
    path = pack(tmp_path / "big.tar.gz", [member(f"1/{frame}.png", bytes(100)) for frame in range(3)])
    with pytest.raises(SourceError, match=r"big\.tar\.gz.*limits"):
        list(read_images(path, limits))
    exact = Limits(members=3, member_bytes=100, total_bytes=300 + tarfile.RECORDSIZE)
    assert len(list(read_images(path, exact))) == 3


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_header_that_claims_a_bomb_is_refused_before_its_data(tmp_path, layout):
    info = tarfile.TarInfo("1/1.png")
    info.size = 10**12
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(layout)))
    with pytest.raises(SourceError, match=r"bomb\.tar\.gz.*1/1\.png"):
        list(read_images(path))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_long_name_or_extended_header_cannot_be_the_bomb(tmp_path, kind):
    info = tarfile.TarInfo("longname")
    info.type, info.size = kind, 10**12
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    with pytest.raises(VideoError, match=r"bomb\.tar\.gz.*1000000000000 bytes; the limits are"):
        list(read_images(path))


def test_data_behind_the_end_counts(tmp_path):
    path = pack(tmp_path / "tail.tar.gz", [member("1/1.png")])
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(5_000_000)))
    with pytest.raises(SourceError, match=r"tail\.tar\.gz: at byte 1,0.*limits"):
        list(read_images(path, Limits(total_bytes=1_000_000)))


def test_not_an_archive(tmp_path):
    for name, data in (
        ("empty", b""),
        ("text", b"<html>quota exceeded</html>"),
        ("gz", gzip.compress(b"text")),
    ):
        path = tmp_path / f"{name}.tar.gz"
        path.write_bytes(data)
        with pytest.raises(VideoError, match=rf"{name}\.tar\.gz.*damaged"):
            list(read_images(path))


@settings(max_examples=100)
@given(data=st.data())
def test_a_cut_or_flipped_archive_is_refused_or_gives_every_image_unharmed(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "a.tar.gz"
    noise = bytes(range(256)) * 8
    pack(path, [member(f"1/{frame}.png", noise) for frame in range(3)])
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(whole[:place])
    else:
        flipped = whole[place] ^ (1 << data.draw(st.integers(0, 7)))
        path.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
    # Times and names in gzip's own header may change without harm.
    try:
        images = list(read_images(path))
    except (VideoError, SourceError):
        return
    assert images == [Image("1", f"{frame}.png", noise) for frame in range(3)]


def test_a_flipped_header_within_the_archive_does_not_look_like_its_end(tmp_path):
    path = pack(tmp_path / "a.tar.gz", [member(f"1/{frame}.png", b"x") for frame in range(3)])
    data = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=0))
    data[data.index(b"1/1.png")] ^= 1
    path.write_bytes(data)
    with pytest.raises(VideoError, match="damaged"):
        list(read_images(path))
