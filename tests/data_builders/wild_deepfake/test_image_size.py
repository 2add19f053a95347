"""The stated size against OpenCV and Pillow, whole and damaged."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fakedetect_jax.data_builders.wild_deepfake.image_size import stated_size


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    progressive=st.booleans(),
    quality=st.integers(1, 100),
)
def test_the_size_is_the_one_that_is_decoded(height, width, progressive, quality):
    image = np.zeros((height, width, 3), np.uint8)
    jpeg = [cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive), cv2.IMWRITE_JPEG_QUALITY, quality]
    for suffix, options in ((".png", []), (".jpg", jpeg)):
        data = cv2.imencode(suffix, image, options)[1].tobytes()
        assert stated_size(data) == (width, height) == Image.open(io.BytesIO(data)).size


def test_tables_and_notes_before_the_size_are_passed_over():
    stream = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "a note" * 1000
    image = Image.new("RGB", (7, 5))
    image.save(stream, "JPEG", exif=exif, icc_profile=bytes(3000), comment=b"\xff\xc0" * 50)
    assert stated_size(stream.getvalue()) == (7, 5)


@pytest.mark.parametrize("kind", ["BMP", "WEBP", "TIFF", "GIF"])
def test_other_images_have_no_size_here(kind):
    stream = io.BytesIO()
    Image.new("RGB", (7, 5)).save(stream, kind)
    assert stated_size(stream.getvalue()) is None


@given(data=st.data(), suffix=st.sampled_from([".png", ".jpg"]))
def test_whatever_opencv_decodes_is_no_larger_than_what_was_stated(data, suffix):
    whole = bytearray(cv2.imencode(suffix, np.zeros((9, 17, 3), np.uint8))[1].tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        # Within the first bytes of all, or of the frame's header.
        place = data.draw(st.integers(0, min(len(whole) - 1, 200)))
        whole[place] = data.draw(st.sampled_from([0, 1, 2, 9, 0xC0, 0xC2, 0xC4, 0xD9, 0xDA, 0xFF]))
    size = stated_size(bytes(whole))
    if size is None or max(size) > 2048:
        return
    try:
        image = cv2.imdecode(np.frombuffer(bytes(whole), np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return
    assert image is None or image.shape[:2] == size[::-1]


@given(st.binary(max_size=60), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"]))
def test_any_bytes_have_a_size_or_none(data, start):
    size = stated_size(start + data)
    assert size is None or len(size) == 2
