"""A real face, cropped as tightly as WildDeepfake's, from an archive to face tracks."""

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from fakedetect_jax.data_builders.engine.journal import Journal
from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.data_builders.wild_deepfake import sequences
from fakedetect_jax.data_builders.wild_deepfake.layout import list_videos
from fakedetect_jax.data_builders.wild_deepfake.sequences import add_border, write_frames
from fakedetect_jax.faces import VideoError, extract_faces
from fakedetect_jax.faces.video import open_video

FACE = Path(__file__).parents[2] / "fixtures" / "face.mp4"
# The face of FACE, about 80 px wide, all through the clip.
LEFT, TOP, RIGHT, BOTTOM = 118, 68, 208, 166
FRAMES = 12


@pytest.fixture(scope="module")
def crops():
    frames = list(open_video(FACE, max_frames=FRAMES).frames)
    return [cv2.resize(frame.image[TOP:BOTTOM, LEFT:RIGHT], (224, 224)) for frame in frames]


def pack(path: Path, images: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in images.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.fixture
def items(tmp_path, crops):
    """Two sequences, interleaved and in the order 10, 9, 8, ...; the second is of one grey image."""
    images = {}
    for frame in reversed(range(FRAMES)):
        images[f"./3/real/6/{frame * 5}.png"] = png(crops[frame])
        if frame == 4:
            images["./3/real/7/1.png"] = png(np.full((20, 30, 3), 99, np.uint8))
    pack(tmp_path / "real_test" / "3.tar.gz", images)
    return {item.video_id: item for item in list_videos(tmp_path).items}


def written(item: VideoItem, folder: Path) -> Path:
    folder.mkdir()
    return write_frames(item, folder)


def test_only_the_images_of_the_sequence_are_written_and_come_in_natural_order(items, tmp_path, crops):
    folder = written(items["test-3-6"], tmp_path / "frames")
    assert folder == tmp_path / "frames"
    assert {path.name for path in folder.iterdir()} == {f"{frame:06d}.png" for frame in range(FRAMES)}
    for frame, crop in zip(open_video(folder).frames, crops, strict=True):
        height, width = frame.image.shape[:2]
        inner = frame.image[(height - 224) // 2 :, (width - 224) // 2 :][:224, :224]
        np.testing.assert_array_equal(inner, crop)


def test_the_border_repeats_the_edge():
    image = np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3)
    bordered = add_border(image)
    assert bordered.shape == (18, 36, 3)  # 0.4 of 10 and of 20 on each side
    np.testing.assert_array_equal(bordered[4:14, 8:28], image)
    np.testing.assert_array_equal(bordered[0, 8:28], image[0])
    np.testing.assert_array_equal(bordered[4:14, 35], image[:, -1])


@pytest.mark.parametrize("border", [0.0, sequences.BORDER])
def test_the_face_of_a_tight_crop_is_found_in_every_frame(items, tmp_path, monkeypatch, border):
    monkeypatch.setattr(sequences, "BORDER", border)
    (track,) = extract_faces(written(items["test-3-6"], tmp_path / "frames"))
    assert len(track.frames) == FRAMES


def test_an_archive_that_changed_after_the_listing(items, tmp_path, crops):
    pack(tmp_path / "real_test" / "3.tar.gz", {"./3/real/6/0.png": png(crops[0])})
    with pytest.raises(VideoError, match=r"3\.tar\.gz: the archive has changed"):
        written(items["test-3-6"], tmp_path / "frames")


CUT = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()[:40]
WEBP = cv2.imencode(".webp", np.zeros((9, 9, 3), np.uint8))[1].tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an image that can be decoded; fetch the archive again"),
        (b"no image", "not an image that can be decoded; fetch the archive again"),
        (CUT, "not an image that can be decoded; fetch the archive again"),
        (WEBP, "not an image in PNG or JPEG; fetch the archive again"),
    ],
)
def test_an_image_that_cannot_be_decoded_is_named(tmp_path, data, message):
    pack(tmp_path / "fake_test" / "0.tar.gz", {"0/fake/1/8.png": data})
    (item,) = list_videos(tmp_path).items
    with pytest.raises(VideoError, match=rf"0\.tar\.gz: 0/fake/1/8\.png: ({message})"):
        written(item, tmp_path / "frames")


def test_what_opencv_throws_is_named_too(tmp_path, monkeypatch):
    def fail(*_):
        raise cv2.error("insufficient memory")

    pack(tmp_path / "fake_test" / "0.tar.gz", {"0/fake/1/8.png": png(np.zeros((9, 9, 3), np.uint8))})
    (item,) = list_videos(tmp_path).items
    monkeypatch.setattr(cv2, "imdecode", fail)
    with pytest.raises(VideoError, match=r"0/fake/1/8\.png: OpenCV cannot decode it \(insufficient memory\)"):
        written(item, tmp_path / "frames")


@pytest.mark.parametrize("width", [sequences.MOST_PIXELS_A_SIDE + 1, 20_000])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_size_beyond_any_face_is_refused_before_it_is_decoded(tmp_path, monkeypatch, suffix, width):
    image = cv2.imencode(suffix, np.zeros((3, width, 3), np.uint8))[1].tobytes()
    pack(tmp_path / "fake_test" / "0.tar.gz", {"0/fake/1/8.png": image})
    (item,) = list_videos(tmp_path).items
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(VideoError, match=rf"0/fake/1/8\.png: states {width} x 3 pixels"):
        written(item, tmp_path / "frames")


def test_images_that_differ_in_their_suffix_alone_are_two_frames(tmp_path):
    grey = [np.full((9, 9, 3), value, np.uint8) for value in (10, 90)]
    jpeg = cv2.imencode(".jpg", grey[1])[1].tobytes()
    pack(tmp_path / "real_test" / "0.tar.gz", {"0/real/1/8.png": png(grey[0]), "0/real/1/8.jpg": jpeg})
    (item,) = list_videos(tmp_path).items
    folder = written(item, tmp_path / "frames")
    means = sorted(round(float(next(open_video(path).frames).image.mean())) for path in folder.iterdir())
    assert means == [10, 90]


def test_an_archive_that_was_fetched_again_is_another_video_to_the_journal(tmp_path):
    """A resumed build does a changed archive again, as it does a changed file."""
    archive = tmp_path / "real_test" / "0.tar.gz"
    journal = Journal(tmp_path / "journal", {})
    for value in (10, 90):
        pack(archive, {"0/real/1/8.png": png(np.full((9, 9, 3), value, np.uint8))})
        (item,) = list_videos(tmp_path).items
        assert not journal.has(item)
        journal.write(item, {"failure": ""}, [])
        assert journal.has(list_videos(tmp_path).items[0])
