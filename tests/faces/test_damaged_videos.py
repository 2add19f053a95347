"""What cannot be read is said, what can be read is kept, and no file reaches beyond itself."""

import os
import struct
import zlib
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from fakedetect_jax.faces import FrameChoice, decoder, extract_faces
from fakedetect_jax.faces.video import VideoError, open_video
from tests.faces.encoding import add_sound, encode, moving_scene
from tests.failing_disk import fail_beyond

COUNT = 48


@pytest.fixture(scope="module")
def scene() -> list[np.ndarray]:
    # Noise, so that the pictures and not the tables make up the file.
    noise = np.random.default_rng(0).integers(0, 60, (COUNT, 96, 160, 3), np.uint8)
    return [frame // 2 + grain for frame, grain in zip(moving_scene(COUNT), noise, strict=True)]


def read(path, **options):
    video = open_video(path, **options)
    return list(video.frames), video


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "sound.mkv", "a.webm", "a.avi", "a.mov"])
def test_a_file_cut_anywhere_gives_what_is_there_and_says_how_much(name, scene, tmp_path):
    codec = {"a.webm": "libvpx", "a.avi": "mpeg4"}.get(name, "libx264")
    container = {"movflags": "+faststart"} if name in ("a.mp4", "a.mov") else None
    # MPEG-4 spends half of a small file on its first picture.
    options = {"g": "1"} if codec == "mpeg4" else None
    whole = encode(tmp_path / name, scene, codec, options=options, container_options=container)
    if name == "sound.mkv":
        whole = add_sound(tmp_path / "with_sound.mkv", whole, 1.0)
    frames, video = read(whole)
    assert (len(frames), video.damage) == (COUNT, "")
    data = whole.read_bytes()
    for share in (0.5, 0.8, 0.97):
        path = tmp_path / f"cut_{name}"
        path.write_bytes(data[: int(len(data) * share)])
        some, video = read(path)
        assert 0 < len(some) < COUNT
        assert f"decoded {len(some)} of" in video.damage
        assert "ends too early" in video.damage


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_clean_cut_raises_no_alarm(name, scene, tmp_path):
    """Cut without encoding anew, from within a group of pictures, as editors and phones do."""
    whole = encode(tmp_path / "whole.mp4", scene, options={"g": "12", "bf": "0"})
    path = tmp_path / name
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        start = None
        for packet in source.demux(source.streams.video[0]):
            if packet.size and packet.pts * packet.time_base >= 0.48:
                start = packet.pts if start is None else start
                packet.pts, packet.dts = packet.pts - start, packet.dts - start
                packet.stream = stream
                out.mux(packet)
    frames, video = read(path)
    assert (len(frames), video.damage) == (COUNT - 12, "")


def test_an_edit_list_hides_frames_without_alarm(scene, tmp_path):
    path = encode(tmp_path / "a.mp4", scene, options={"g": "48", "bf": "0"})
    data = path.read_bytes()
    at = data.index(b"elst")
    # Version 0, one entry: duration in the film's units, start in the track's.
    duration, start = struct.unpack(">Ii", data[at + 12 : at + 20])
    edited = struct.pack(">Ii", duration // 2, start + 12 * 512)
    path.write_bytes(data[: at + 12] + edited + data[at + 20 :])
    frames, video = read(path)
    assert 0 < len(frames) < COUNT
    assert video.damage == ""


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.avi"])
def test_a_hole_in_the_middle_is_told_and_the_rest_is_kept(name, scene, tmp_path):
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = encode(tmp_path / name, scene, codec, options={"g": "8"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 10] = bytes(len(data) // 10)
    path.write_bytes(data)
    frames, video = read(path)
    assert COUNT // 2 < len(frames) <= COUNT
    assert video.damage
    times = [frame.timestamp for frame in frames]
    assert all(np.diff(times) > 0)


def test_a_picture_that_the_decoder_drops_without_an_error_is_missed(scene, tmp_path):
    path = encode(tmp_path / "a.mp4", scene, "libx265", options={"x265-params": "log-level=none"})
    with av.open(str(path)) as source:
        places = [packet.pos for packet in source.demux(source.streams.video[0]) if packet.size]
    data = bytearray(path.read_bytes())
    data[places[20] + 4] = 70  # the type of an access unit delimiter, which shows nothing
    path.write_bytes(data)
    frames, video = read(path)
    assert len(frames) == COUNT - 1
    assert video.damage == f"decoded {COUNT - 1} of {COUNT} frames; missing frames: 1"


def without_count(path, frames):
    """Write a stream of bytes, as browsers record: a file that states neither length nor number of frames."""

    class Pipe:
        def __init__(self, file):
            self.write = file.write

    with path.open("wb") as file, av.open(Pipe(file), "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="bgr24")))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("frames", "want"),
    [(FrameChoice(count=4), [3, 9, 15, 21]), (FrameChoice(count=2, run=3), [5, 6, 7, 17, 18, 19])],
)
def test_frames_are_spread_over_files_of_unknown_length(frames, want, man, tmp_path):
    path = without_count(tmp_path / "live.mkv", man)
    (face,) = extract_faces(path, frames=frames)
    assert face.frame_index.tolist() == want
    raw = encode(tmp_path / "raw.h264", man)
    (face,) = extract_faces(raw, frames=frames)
    assert face.frame_index.tolist() == want


@pytest.mark.parametrize("stated", [5, 500])
def test_frames_are_spread_over_what_there_is_whatever_the_file_states(stated, man, tmp_path):
    path = encode(tmp_path / "a.avi", man, "mpeg4")
    data = bytearray(path.read_bytes())
    main, stream = data.index(b"avih"), data.index(b"strh")
    struct.pack_into("<I", data, main + 8 + 16, stated)
    struct.pack_into("<I", data, stream + 8 + 32, stated)
    path.write_bytes(data)
    (face,) = extract_faces(path, frames=FrameChoice(count=4))
    assert face.frame_index.tolist() == [3, 9, 15, 21]


def test_frames_are_spread_over_the_part_that_can_be_decoded(man, tmp_path):
    path = encode(tmp_path / "a.mp4", man, container_options={"movflags": "+faststart"}, options={"bf": "0"})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])
    faces = extract_faces(path, frames=FrameChoice(count=3))
    assert len(faces[0]) == 3
    assert faces[0].frame_index[-1] < faces.decoded < 24
    assert faces.damage


def test_a_face_on_both_sides_of_a_pause_is_in_two_tracks(man, tmp_path):
    times = [40 * index + (5_000 if index >= 12 else 0) for index in range(24)]
    faces = extract_faces(encode(tmp_path / "gap.mkv", man, times=times))
    assert [len(face) for face in faces] == [12, 12]
    assert {face.person for face in faces} == {0}


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile secret.mp4\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nsecret.mp4\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
        '<Representation id="1" mimeType="video/mp4"><BaseURL>secret.mp4</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>",
    ],
)
def test_a_playlist_is_no_video(text, scene, tmp_path, monkeypatch):
    encode(tmp_path / "secret.mp4", scene[:4])
    monkeypatch.chdir(tmp_path)
    for name in ("list.mp4", "list.txt"):
        (tmp_path / name).write_text(text)
        with pytest.raises(VideoError, match=r"list\.(mp4|txt)"):
            read(name)


def test_a_pipe_is_refused_and_nothing_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", "/dev/zero"):
        with pytest.raises(VideoError, match="is a pipe, a device or a socket"):
            open_video(path)


@pytest.mark.parametrize(
    "name",
    ["a:b.mp4", "2024-05-01T12:30:05.mp4", "file:x.mp4", "a|b.mp4", "$5_%03d.mp4", "²\n.mp4", b"caf\xe9.mp4"],
)
def test_a_name_is_a_name(name, clip_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(name)
    with open(name, "wb") as file:
        file.write(clip_path.read_bytes())
    assert len(read(name)[0]) == 24


def test_companions_and_half_written_frames_in_a_folder(save, scene, tmp_path):
    folder = save("folder", scene[:8])
    for index in range(8):
        (folder / f"._frame{index}.png").write_bytes(b"\0\5\x16\7" + bytes(100))
    assert len(read(folder)[0]) == 8
    (folder / "frame8.png").write_bytes(b"")
    frames, video = read(folder)
    assert len(frames) == 8
    assert "1 of 9 images cannot be decoded" in video.damage
    assert "frame8.png" in video.damage


def test_a_jpeg_without_its_end_is_not_shown_grey(man, tmp_path):
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"{index}.jpg"), man[index])
    data = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "2.jpg").write_bytes(data[: len(data) // 2])
    frames, video = read(tmp_path)
    assert len(frames) == 2
    assert "2.jpg: the image is cut short" in video.damage


def test_an_offset_beyond_any_file_is_not_the_disks_fault(man, tmp_path):
    path = tmp_path / "a.tif"
    cv2.imwrite(str(path), man[0])
    data = bytearray(path.read_bytes())
    data[4:8] = b"\xff" * 4
    for start in (data, b"II\x2b\x00\x08\x00\x00\x00" + b"\xff" * 8 + bytes(100)):
        path.write_bytes(start)
        with pytest.raises(VideoError, match=r"a\.tif: not an image"):
            read(path)


def bomb(side: int) -> bytes:
    """Return a small PNG of side x side grey pixels."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + side // 8)) for _ in range(side)) + rows.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        for name, part in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_picture_that_would_take_gigabytes_is_refused_before(tmp_path):
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "a.png").write_bytes(bomb(20_000))
    (tmp_path / "a.png").write_bytes(bomb(20_000))
    for path in (tmp_path / "frames", tmp_path / "a.png"):
        with pytest.raises(VideoError, match=r"a\.png.*pixels"):
            read(path)
    with av.open(str(tmp_path / "a.mov"), "w") as out:
        stream = out.add_stream("png", rate=25)
        stream.width = stream.height = 16  # what the container says is not what the picture says
        stream.pix_fmt = "monob"
        packet = av.Packet(bomb(20_000))
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 25)
        out.mux(packet)
    with pytest.raises(VideoError, match=r"a\.mov"):
        read(tmp_path / "a.mov")


def test_titles_in_any_encoding(scene, tmp_path):
    """Old cameras and editors write the user's code page."""
    whole = encode(tmp_path / "whole.avi", scene, "mpeg4")
    path = tmp_path / "a.avi"
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        out.metadata["title"] = "Grussel"
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    path.write_bytes(path.read_bytes().replace(b"Grussel", b"Gr\xfc\xdfe\x80\xff"))
    frames, video = read(path)
    assert (len(frames), video.damage) == (COUNT, "")


def test_a_part_that_states_a_length_of_exabytes_is_passed_over(scene, tmp_path):
    """The place after it would be one that no file has."""
    path = encode(tmp_path / "a.wmv", scene, "wmv2")
    data = bytearray(path.read_bytes())
    first = 30  # after the header's GUID, size and count comes the GUID of the first object
    struct.pack_into("<Q", data, first + 16, (1 << 63) - 4096)
    path.write_bytes(data)
    assert len(read(path)[0]) == COUNT


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.avi", "a.ts", "a.mpg", "a.flv"])
def test_a_failing_disk_is_not_the_videos_fault(name, scene, tmp_path, monkeypatch):
    codec = {"a.webm": "libvpx", "a.avi": "mpeg4", "a.mpg": "mpeg2video", "a.flv": "flv"}.get(name, "libx264")
    path = encode(tmp_path / name, scene, codec)
    size = path.stat().st_size
    # Small pieces, so that the opening succeeds and a later read fails.
    monkeypatch.setattr(decoder, "_BUFFER", 1024)
    for place in (0, size // 4, size // 2, size - 1):
        with monkeypatch.context() as patch:
            fail_beyond(patch, path, place)
            with pytest.raises(OSError, match="Input/output error"):
                read(path)


@pytest.mark.parametrize("name", ["frames", "one.png", "one.jpg", "moving.png", "moving.webp"])
def test_a_failing_disk_is_not_the_images_fault(name, scene, tmp_path, monkeypatch):
    path = tmp_path / name
    if name.startswith("moving"):
        pictures = [Image.fromarray(frame) for frame in scene[:3]]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], lossless=True)
    elif name == "frames":
        path.mkdir()
        for number, frame in enumerate(scene[:3]):
            cv2.imwrite(str(path / f"{number}.png"), frame)
    else:
        cv2.imwrite(str(path), scene[0])
    assert read(path)[0]
    fail_beyond(monkeypatch, path, 2000)
    with pytest.raises(OSError, match="Input/output error"):
        read(path)
