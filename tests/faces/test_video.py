import re
import struct

import cv2
import numpy as np
import pytest

from fakedetect_jax.faces.video import VideoError, open_video


def stamped(count: int) -> list[np.ndarray]:
    """Return frames whose grey level tells their index."""
    return [np.full((48, 64, 3), 20 + 8 * i, np.uint8) for i in range(count)]


def stamps(frames) -> list[int]:
    return [round((float(f.image.mean()) - 20) / 8) for f in frames]


def turn_metadata_clockwise(data: bytes, height: int) -> bytes:
    """Set the display matrix of an mp4's only track to a clockwise quarter turn, as phones do."""
    at = data.index(b"tkhd")
    assert data[at + 4] == 0, "version 0 header"
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, height << 16, 0, 1 << 30)
    return data[: at + 44] + matrix + data[at + 80 :]


def test_portrait_phone_clip_comes_out_upright(man, save):
    upright = [frame[:, 88:208] for frame in man[:5]]
    path = save("phone.mp4", [cv2.rotate(f, cv2.ROTATE_90_COUNTERCLOCKWISE) for f in upright])
    path.write_bytes(turn_metadata_clockwise(path.read_bytes(), height=120))
    decoded = [frame.image for frame in open_video(path).frames]
    assert [f.shape for f in decoded] == [(180, 120, 3)] * 5
    for got, want in zip(decoded, upright, strict=True):
        assert cv2.PSNR(got, np.ascontiguousarray(want)) > 28
        assert cv2.PSNR(got[::-1, ::-1], np.ascontiguousarray(want)) < 20


def test_frames_times_and_rate_of_a_file(save):
    video = open_video(save("clip.mp4", stamped(10)))
    frames = list(video.frames)
    assert video.fps == 25
    assert [f.index for f in frames] == list(range(10))
    np.testing.assert_allclose([f.timestamp for f in frames], np.arange(10) / 25, atol=1e-6)
    assert stamps(frames) == list(range(10))


@pytest.mark.parametrize("name", ["clip.mp4", "folder"])
@pytest.mark.parametrize(
    ("stride", "max_frames", "want"), [(3, None, [0, 3, 6, 9, 12]), (4, 9, [0, 4, 8]), (1, 2, [0, 1])]
)
def test_stride_and_max_frames_count_source_frames(save, name, stride, max_frames, want):
    frames = list(open_video(save(name, stamped(13)), stride=stride, max_frames=max_frames).frames)
    assert [f.index for f in frames] == want
    assert stamps(frames) == want
    np.testing.assert_allclose([f.timestamp for f in frames], np.array(want) / 25, atol=1e-6)


def test_a_folder_is_in_natural_order(save):
    folder = save("folder", stamped(12))
    (folder / "notes.txt").write_text("not a frame")
    assert stamps(open_video(folder).frames) == list(range(12))


def test_a_file_cut_short_gives_its_beginning_and_says_so(clip_path, man, tmp_path):
    data = clip_path.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: len(data) * 3 // 4])
    video = open_video(path)
    frames = list(video.frames)
    assert 1 <= len(frames) < 22
    np.testing.assert_array_equal(frames[0].image, man[0])
    assert video.decoded == len(frames)
    assert video.damage.startswith(f"decoded {len(frames)} of 24 frames; the file ends too early")


def test_a_file_cut_before_its_first_frame(clip_path, tmp_path):
    data = clip_path.read_bytes()
    path = tmp_path / "head.mp4"
    path.write_bytes(data[: data.index(b"mdat") + 8])
    with pytest.raises(VideoError, match=r"head\.mp4.*cut short"):
        list(open_video(path).frames)


def test_a_file_without_its_index(clip_path, tmp_path):
    path = tmp_path / "noindex.mp4"
    path.write_bytes(clip_path.read_bytes()[:200])
    with pytest.raises(VideoError, match=r"noindex\.mp4.*cut short|fetch it again"):
        list(open_video(path).frames)


@pytest.mark.parametrize("content", [b"", b"This is a text.\n" * 100, bytes(5000)])
def test_not_a_video(tmp_path, content):
    path = tmp_path / "notes.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=r"notes\.mp4: not a video.*convert it"):
        list(open_video(path).frames)


def test_nothing_there(tmp_path):
    with pytest.raises(VideoError, match=r"absent\.mp4: no such file"):
        open_video(tmp_path / "absent.mp4")
    with pytest.raises(VideoError, match="holds no images"):
        open_video(tmp_path)


def test_a_broken_image_is_named(save):
    folder = save("folder", stamped(3))
    (folder / "frame1.png").write_bytes(b"\x89PNG broken")
    video = open_video(folder)
    assert [frame.index for frame in video.frames] == [0, 2]
    assert video.decoded == 2
    assert re.search(r"1 of 3 images cannot be decoded.*frame1\.png", video.damage)
    with pytest.raises(VideoError, match=r"frame1\.png"):
        list(open_video(folder / "frame1.png").frames)


def test_an_image_is_a_video_of_one_frame(save):
    folder = save("folder", stamped(3))
    assert stamps(open_video(folder / "frame2.png").frames) == [2]


@pytest.mark.parametrize("name", ["x" * 300 + ".mp4", "a\0b.mp4"])
def test_a_name_that_no_file_can_have_is_one_failed_video(tmp_path, name):
    with pytest.raises(VideoError, match="not the name of a file"):
        open_video(tmp_path / name)


def test_a_git_lfs_pointer_says_how_the_video_is_fetched(tmp_path):
    path = tmp_path / "v.mp4"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n")
    with pytest.raises(VideoError, match=r"v\.mp4: is a Git LFS pointer.*git lfs pull"):
        open_video(path)


def test_folders_and_digits_of_other_scripts_among_the_frames_are_no_trouble(tmp_path):
    for number, name in enumerate(["frame2.png", "frame10.png", "frame\u00b2.png", "\u0664.png"]):
        cv2.imwrite(str(tmp_path / "one.png"), np.full((8, 8, 3), number, np.uint8))
        (tmp_path / "one.png").rename(tmp_path / name)
    (tmp_path / "x.png").mkdir()
    assert [frame.image[0, 0, 0] for frame in open_video(tmp_path).frames] == [0, 1, 2, 3]
