"""The strict reader against Python's tarfile, on what tarfile writes and on what it does not."""

import contextlib
import io
import random
import tarfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fakedetect_jax.data_builders.wild_deepfake.tar_stream import TarFault, read_members

NAMES = st.lists(
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=60), min_size=1
)
FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def pack(members, layout, **pax):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=layout, **pax) as archive:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def read(data, accept=lambda _: True):
    return [(member.name, content) for member, content in read_members(io.BytesIO(data), accept)]


def as_tarfile_reads(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        files = [(member.name, archive.extractfile(member)) for member in archive if member.isreg()]
        return [(name, file.read()) for name, file in files if file is not None]


@given(
    members=st.lists(
        st.tuples(
            NAMES.map("/".join), st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE]), st.binary(max_size=1500)
        ),
        max_size=5,
    ),
    layout=st.sampled_from(FORMATS),
)
def test_names_and_bytes_are_those_of_tarfile(members, layout):
    members = [(name, kind, data if kind == tarfile.REGTYPE else b"") for name, kind, data in members]
    try:
        data = pack(members, layout)
    except (ValueError, UnicodeError):  # a name too long, or of other letters, for the oldest format
        return
    assert read(data) == as_tarfile_reads(data)


def test_notes_that_other_programs_add_are_passed_over():
    pax = {"SCHILY.xattr.user.note": "x", "mtime": "1.5", "comment": "anything"}
    info = tarfile.TarInfo("a/1.png")
    info.pax_headers, info.size = pax, 1
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", pax_headers={"comment": "of all"}) as archive:
        archive.addfile(info, io.BytesIO(b"x"))
    assert read(stream.getvalue()) == as_tarfile_reads(stream.getvalue()) == [("a/1.png", b"x")]


def test_every_member_is_seen_and_only_those_accepted_are_read():
    data = pack([(f"{n}.png", tarfile.REGTYPE, bytes([n]) * 600) for n in range(4)], tarfile.GNU_FORMAT)
    seen = []

    def odd(member):
        seen.append((member.name, member.size))
        return int(member.name[0]) % 2 == 1

    assert read(data, odd) == [(f"{n}.png", bytes([n]) * 600) for n in (1, 3)]
    assert seen == [(f"{n}.png", 600) for n in range(4)]


@pytest.mark.parametrize("layout", FORMATS)
@given(seed=st.integers(0, 2**32))
@example(seed=65536)  # in layout 2, a size of 26 digits
def test_bytes_changed_in_headers_are_read_or_a_fault_and_nothing_else(layout, seed):
    """Checksums are corrected; otherwise nearly every change would be refused for its checksum alone."""
    chance = random.Random(seed)
    long = "b" * 120 + "/1.png"
    data = bytearray(pack([("a/1.png", tarfile.REGTYPE, b"x"), (long, tarfile.REGTYPE, b"y" * 600)], layout))
    for _ in range(chance.randint(1, 8)):
        start = 512 * chance.randrange(len(data) // 512)
        data[start + chance.choice((124, 130, 135, 156, 257, 345, chance.randrange(512)))] = chance.choice(
            (0, 0x20, 0x30, 0x37, 0x80, 0xFF, *b"0123456789ASLKxgXV", chance.randrange(256))
        )
        total = sum(data[start : start + 512]) - sum(data[start + 148 : start + 156]) + 8 * 32
        data[start + 148 : start + 156] = f"{total:06o}\0 ".encode()
    with contextlib.suppress(TarFault, tarfile.TarError):
        for name, content in read(bytes(data)):
            assert isinstance(name, str)
            assert len(content) <= len(data)
