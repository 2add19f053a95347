"""What an image states is read before it is decoded, and holds."""

import contextlib
import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fakedetect_jax.faces.images import decode_image, read_header
from fakedetect_jax.faces.video import VideoError


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    progressive=st.booleans(),
    quality=st.integers(1, 100),
)
def test_the_size_is_the_one_that_is_decoded(height, width, progressive, quality):
    image = np.zeros((height, width, 3), np.uint8)
    jpeg = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive), cv2.IMWRITE_JPEG_QUALITY, quality]
    for kind, suffix, options in (("PNG", ".png", []), ("JPEG", ".jpg", jpeg)):
        data = cv2.imencode(suffix, image, options)[1].tobytes()
        assert read_header(data, "a") == (kind, (width, height))
        assert decode_image(data, "a").shape == (height, width, 3)


def test_tables_and_notes_before_the_size_are_passed_over():
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "a note" * 1000
    Image.new("RGB", (7, 5)).save(
        stream, "JPEG", exif=exif, icc_profile=bytes(3000), comment=b"\xff\xc0\xff\xd9" * 50
    )
    assert read_header(stream.getvalue(), "a") == ("JPEG", (7, 5))
    # The mark of an end in a comment, or in a thumbnail, is not the end of the picture.
    with pytest.raises(VideoError, match="a: the image is cut short"):
        decode_image(stream.getvalue()[:-2], "a")


@given(data=st.data(), suffix=st.sampled_from([".png", ".jpg"]))
def test_whatever_is_decoded_is_no_larger_than_what_was_stated(data, suffix):
    whole = bytearray(cv2.imencode(suffix, np.zeros((9, 17, 3), np.uint8))[1].tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Within the first bytes of all, or of the frame's header.
        place = data.draw(st.integers(0, min(len(whole) - 1, 200)))
        whole[place] = data.draw(st.sampled_from([0, 1, 2, 9, 0xC0, 0xC2, 0xC4, 0xD9, 0xDA, 0xFF]))
    with contextlib.suppress(VideoError):
        _, size = read_header(bytes(whole), "a")
        if max(size) <= 2048:
            assert decode_image(bytes(whole), "a").shape[:2] == size[::-1]


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"]))
def test_any_other_bytes_are_named(data, start):
    with pytest.raises(VideoError, match=r"^a: "):
        decode_image(start + data, "a")


def test_want_of_memory_is_not_the_images_fault(monkeypatch):
    data = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()

    def fail(*_):
        error = cv2.error("insufficient memory")
        error.code = code
        raise error

    monkeypatch.setattr(cv2, "imdecode", fail)
    code = cv2.Error.StsNoMem
    with pytest.raises(cv2.error):
        decode_image(data, "a")
    code = cv2.Error.StsBadArg
    with pytest.raises(VideoError, match="a: OpenCV cannot decode it"):
        decode_image(data, "a")
