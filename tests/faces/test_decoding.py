"""Files of every kind give the frames that the ffmpeg program gives, at the times that the file states."""

import itertools
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fakedetect_jax.faces.decoder import _Clock
from fakedetect_jax.faces.video import VideoError, open_video
from tests.faces.encoding import add_sound, as_ffmpeg_shows, encode, moving_scene

KINDS = {
    "a.mp4": ("libx264", "yuv420p"),
    "b_frames.mkv": ("libx264", "yuv420p", {"bf": "3", "g": "6"}),
    "ten_bit.mp4": ("libx265", "yuv420p10le"),
    "twelve_bit.mkv": ("libx265", "yuv444p12le"),
    "full_chroma.mp4": ("libx264", "yuv444p"),
    "full_range.mp4": ("libx264", "yuvj420p"),
    "rgb.mkv": ("libx264rgb", "bgr24"),
    "alpha.webm": ("libvpx-vp9", "yuva420p"),
    "vp8.webm": ("libvpx", "yuv420p"),
    "prores.mov": ("prores_ks", "yuv422p10le"),
    "mjpeg.avi": ("mjpeg", "yuvj422p"),
    "mpeg4.avi": ("mpeg4", "yuv420p", {"bf": "2"}),
    "stream.ts": ("libx264", "yuv420p"),
    "camera.mts": ("libx264", "yuv420p", {}, "mpegts"),
    "disc.m2ts": ("libx264", "yuv420p", {}, "mpegts"),
    "phone.3gp": ("libx264", "yuv420p"),
    "programme.mpg": ("mpeg2video", "yuv420p"),
    "dvd.vob": ("mpeg2video", "yuv420p"),
    "windows.wmv": ("wmv2", "yuv420p"),
    "web.flv": ("flv", "yuv420p"),
    "lossless.avi": ("ffv1", "yuv420p"),
    "raw.h264": ("libx264", "yuv420p"),
    "raw.hevc": ("libx265", "yuv420p"),
    "raw.m2v": ("mpeg2video", "yuv420p"),
    "animation.gif": ("gif", "rgb8"),
    "still_and_moving.avif": ("libsvtav1", "yuv420p"),
    "grey.mkv": ("ffv1", "gray"),
}


@pytest.fixture(scope="module")
def scene() -> list[np.ndarray]:
    return moving_scene(12)


def decoded(path, **options) -> np.ndarray:
    return np.stack([frame.image for frame in open_video(path, **options).frames])


def assert_same_pictures(got, want):
    assert len(got) == len(want)
    difference = np.abs(got.astype(np.float32) - want.astype(np.float32)).mean(axis=(1, 2, 3))
    assert difference.max() < 1.5
    # A bar moves: no other frame is as near.
    shifted = np.abs(got[1:].astype(np.float32) - want[:-1].astype(np.float32)).mean(axis=(1, 2, 3))
    assert shifted.min() > 1.5


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_of_the_ffmpeg_program(name, scene, tmp_path):
    codec, pixels, options, container, *_ = (*KINDS[name], None, None)
    path = encode(tmp_path / name, scene, codec, pixels, options=options, container=container)
    frames = list(open_video(path).frames)
    assert_same_pictures(np.stack([frame.image for frame in frames]), as_ffmpeg_shows(path))
    assert [frame.index for frame in frames] == list(range(len(scene)))
    assert open_video(path).length() == len(scene)
    times = [frame.timestamp for frame in frames]
    np.testing.assert_allclose(np.diff(times), 0.04, atol=2e-3)
    video = open_video(path)
    list(video.frames)
    assert (video.damage, video.decoded) == ("", len(scene))


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc", "fcc", "smpte240m"])
def test_every_colour_matrix(matrix, scene, tmp_path):
    codes = {"bt709": 1, "fcc": 4, "smpte170m": 6, "smpte240m": 7, "bt2020nc": 9}
    path = encode(tmp_path / "m.mp4", scene[:3], colorspace=codes[matrix])
    shown = decoded(path)
    assert_same_pictures(shown, as_ffmpeg_shows(path))


@pytest.mark.parametrize("field", ["color_trc", "color_primaries", "colorspace"])
@pytest.mark.parametrize("code", [0, 3, 22])
def test_codes_without_a_meaning_are_passed_over(field, code, scene, tmp_path):
    plain = decoded(encode(tmp_path / "plain.mp4", scene[:3]))
    odd = decoded(encode(tmp_path / "odd.mp4", scene[:3], **{field: code}))
    assert np.abs(odd.astype(int) - plain).mean() < 30
    assert len(odd) == 3


def test_the_colour_matrix_matters(scene, tmp_path):
    one, other = (decoded(encode(tmp_path / f"{code}.mp4", scene[:1], colorspace=code)) for code in (1, 6))
    assert np.abs(one.astype(int) - other.astype(int)).mean() > 1.5


@pytest.mark.parametrize("order", ["top first", "bottom first"])
def test_interlaced_pictures_are_deinterlaced(order, scene, tmp_path):
    path = encode(
        tmp_path / "i.mp4",
        scene,
        options={"flags": "+ildct+ilme", "x264-params": "tff=1" if order == "top first" else "bff=1"},
    )
    assert_same_pictures(decoded(path), as_ffmpeg_shows(path, "bwdif=mode=send_frame:deint=interlaced"))
    every_third = list(open_video(path, stride=3).frames)
    assert [frame.index for frame in every_third] == [0, 3, 6, 9]
    assert np.array_equal(every_third[1].image, decoded(path)[3])


@pytest.mark.parametrize(
    ("codec", "name"), [("mpeg2video", "a.mpg"), ("prores_ks", "a.mov"), ("dvvideo", "a.dv")]
)
def test_interlaced_frames_of_older_codecs_are_whole(codec, name, tmp_path):
    """A reader that gives up on them must not give out memory of something else."""
    dv = codec == "dvvideo"
    scene = moving_scene(6, *((576, 720) if dv else (96, 160)))
    pixels = {"prores_ks": "yuv422p10le"}.get(codec, "yuv420p")
    path = encode(tmp_path / name, scene, codec, pixels, options={"flags": "+ildct+ilme"})
    for got, want in zip(open_video(path).frames, scene, strict=True):
        resized = cv2.resize(got.image, want.shape[1::-1])
        assert np.abs(resized.astype(int) - want).mean() < 12


TURNS = {
    "upright": ((1, 0, 0, 1), lambda image: image),
    "mirrored": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down": ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
    "mirrored upside down": ((1, 0, 0, -1), lambda image: image[::-1]),
    "quarter": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "three quarters": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "transposed": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "transposed the other way": ((0, -1, -1, 0), lambda image: np.rot90(image, 2).transpose(1, 0, 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_the_display_matrix_is_applied(turn, scene, tmp_path):
    (a, b, c, d), seen = TURNS[turn]
    plain = decoded(encode(tmp_path / "plain.mp4", scene[:2]))
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    path = encode(tmp_path / "turned.mp4", scene[:2], display_matrix=matrix)
    for got, stored in zip(decoded(path), plain, strict=True):
        np.testing.assert_array_equal(got, seen(stored))


def test_pixels_that_are_not_square_are_made_so(scene, tmp_path):
    path = encode(tmp_path / "wide.mp4", scene[:2], sample_aspect_ratio=Fraction(4, 3))
    assert decoded(path).shape == (2, 96, 213, 3)
    rounded = encode(tmp_path / "rounded.mp4", scene[:2], sample_aspect_ratio=Fraction(9480, 9477))
    assert decoded(rounded).shape == (2, 96, 160, 3)


def hlg(nits):
    """Return the HLG signal of BT.2020 light on a screen of 1000 nits (ITU-R BT.2100, table 5)."""
    luminance = nits @ np.array([0.2627, 0.6780, 0.0593])
    scene_light = nits / 1000 * (np.maximum(luminance, 1e-9) / 1000)[..., None] ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(
        scene_light <= 1 / 12,
        np.sqrt(3 * scene_light),
        a * np.log(np.maximum(12 * scene_light - b, 1e-9)) + c,
    )


def pq(nits):
    """Return the PQ signal (SMPTE ST 2084)."""
    power = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


@pytest.mark.parametrize(("signal", "code"), [(hlg, 18), (pq, 16)])
def test_high_dynamic_range_looks_like_the_original(signal, code, man, tmp_path):
    shown_light = (np.stack(man[:4])[..., ::-1] / 255.0) ** 2.4
    to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    coded = signal(100 * shown_light @ to_bt2020.T)
    frames = [np.rint(frame * 65535).astype(np.uint16) for frame in coded]
    path = encode(
        tmp_path / "hdr.mp4",
        frames,
        "libx265",
        "yuv420p10le",
        options={"crf": "8"},
        color_trc=code,
        color_primaries=9,
        colorspace=9,
        color_range=1,
    )
    got, want = decoded(path), np.stack(man[:4])
    np.testing.assert_allclose(got.mean(axis=(1, 2)), want.mean(axis=(1, 2)), atol=6)
    assert np.abs(got.astype(int) - want).mean() < 8
    assert got.max() <= 255


def test_times_are_those_of_the_file(scene, tmp_path):
    uneven = [0, 40, 70, 300, 310, 340, 420, 500, 560, 2000, 2040, 2080]
    path = encode(tmp_path / "uneven.mkv", scene, times=uneven)
    np.testing.assert_allclose(
        [f.timestamp for f in open_video(path).frames], np.array(uneven) / 1000, atol=2e-3
    )


def test_pictures_after_long_sound(scene, tmp_path):
    late = encode(tmp_path / "late.mp4", scene, times=[110_000 + 40 * index for index in range(12)])
    video = open_video(add_sound(tmp_path / "sound.mp4", late, 112))
    assert np.allclose([f.timestamp for f in video.frames], 110 + 0.04 * np.arange(12), atol=0.03)
    assert video.damage == ""


def test_a_long_gap_between_pictures(scene, tmp_path):
    times = [40 * index + (120_000 if index >= 6 else 0) for index in range(12)]
    gap = encode(tmp_path / "gap.mp4", scene, times=times)
    video = open_video(add_sound(tmp_path / "sound.mp4", gap, 121))
    frames = list(video.frames)
    assert_same_pictures(np.stack([f.image for f in frames]), decoded(gap))
    np.testing.assert_allclose([f.timestamp for f in frames], np.array(times) / 1000, atol=0.03)
    assert 20 < video.fps < 30


def test_files_joined_end_to_end_go_on_in_time_and_may_change_their_size(scene, tmp_path):
    parts = [
        encode(tmp_path / f"{number}.ts", frames)
        for number, frames in enumerate([scene, moving_scene(12, 180, 180)])
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    video = open_video(path)
    frames = list(video.frames)
    assert video.damage == ""
    assert [f.image.shape[:2] for f in frames] == [(96, 160)] * 12 + [(180, 180)] * 12
    np.testing.assert_allclose([f.timestamp for f in frames], 0.04 * np.arange(24), atol=1e-3)


@given(
    st.lists(st.none() | st.integers(-(2**40), 2**40) | st.integers(0, 3000), min_size=1, max_size=40),
    st.none() | st.integers(-(10**9), 10**12),
    st.sampled_from([0.5, 25.0, 120.0]),
)
def test_times_rise_and_differ_whatever_the_file_states(stamps, start, fps):
    clock = _Clock(start, fps)
    times = []
    for stamp in stamps:
        picture = av.VideoFrame(2, 2)
        picture.pts, picture.time_base = stamp, Fraction(1, 1000)
        times.append(clock.time_of(picture))
    assert times[0] >= 0
    assert all(after > before for before, after in itertools.pairwise(times))


def test_frames_that_are_kept_do_not_change(scene, tmp_path):
    path = encode(tmp_path / "a.mp4", scene)
    kept, copies = [], []
    for frame in open_video(path).frames:
        kept.append(frame.image)
        copies.append(frame.image.copy())
    np.testing.assert_array_equal(kept, copies)


def test_every_kth_frame_and_limits(scene, tmp_path):
    path = encode(tmp_path / "a.mp4", scene)
    assert [f.index for f in open_video(path, stride=5).frames] == [0, 5, 10]
    assert [f.index for f in open_video(path, stride=2, max_frames=5).frames] == [0, 2, 4]
    video = open_video(path, max_seconds=0.2)
    assert [f.index for f in video.frames] == [0, 1, 2, 3, 4]
    assert (video.length(), video.damage) == (5, "")


def test_sound_alone_is_no_video(scene, tmp_path):
    video = encode(tmp_path / "a.mp4", scene[:1])
    with_sound = add_sound(tmp_path / "both.mp4", video, 1)
    assert len(decoded(with_sound)) == 1
    path = tmp_path / "song.m4a"
    with av.open(str(with_sound)) as source, av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    with pytest.raises(VideoError, match=r"song\.m4a: holds sound, no video"):
        open_video(path)


@pytest.mark.parametrize(
    ("name", "codec", "cover"),
    [
        ("song.mp3", "libmp3lame", False),
        ("song.wav", "pcm_s16le", False),
        ("song.flac", "flac", False),
        ("song.ogg", "flac", False),
        ("song.mp3", "libmp3lame", True),
    ],
)
def test_a_song_is_said_to_be_sound_with_or_without_a_cover(name, codec, cover, tmp_path):
    path = tmp_path / name
    with av.open(str(path), "w") as file:
        sound = file.add_stream(codec, rate=44100, layout="mono")
        picture = file.add_stream("mjpeg", rate=1) if cover else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 90, np.uint8), format="bgr24")
            file.mux([*picture.encode(frame), *picture.encode()])
        kind = sound.codec_context.format.name
        types = {"f": np.float32, "s16": np.int16, "s32": np.int32}
        samples = np.zeros((1, 44100), types["f" if kind.startswith("f") else kind[:3]])
        for start in range(0, 44100, 1152):
            part = av.AudioFrame.from_ndarray(samples[:, start : start + 1152], kind, "mono")
            part.sample_rate, part.pts, part.time_base = 44100, start, Fraction(1, 44100)
            file.mux(sound.encode(part))
        file.mux(sound.encode())
    what = "sound and a cover picture" if cover else "sound"
    with pytest.raises(VideoError, match=rf"{name}: holds {what}, no video"):
        open_video(path)


def animated(path, frames, **options):
    pictures = [Image.fromarray(np.ascontiguousarray(frame[..., ::-1])) for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    return path


@pytest.mark.parametrize("name", ["moving.webp", "moving.png"])
def test_all_frames_of_an_animation(name, scene, tmp_path):
    lossless = {"lossless": True} if name.endswith("webp") else {}
    path = animated(tmp_path / name, scene, duration=80, **lossless)
    frames = list(open_video(path).frames)
    np.testing.assert_array_equal([f.image for f in frames], scene)
    np.testing.assert_allclose([f.timestamp for f in frames], 0.08 * np.arange(12), atol=1e-6)
    assert open_video(path).fps == pytest.approx(12.5)
    assert [f.index for f in open_video(path, stride=5, max_frames=8).frames] == [0, 5]


def test_an_animation_cut_short_keeps_what_can_be_had(scene, tmp_path):
    path = animated(tmp_path / "moving.png", scene, duration=80)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    video = open_video(path)
    frames = list(video.frames)
    assert 0 < len(frames) < 12
    assert f"decoded {len(frames)} of" in video.damage
