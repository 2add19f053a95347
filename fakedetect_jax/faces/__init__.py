"""A video or a folder of frames -> face sequences, on OpenCV and numpy alone, with its weights."""

from fakedetect_jax.faces.extract import extract
from fakedetect_jax.faces.extraction import Extraction
from fakedetect_jax.faces.sequence import FaceSequence
from fakedetect_jax.faces.video import VideoError

__all__ = ["Extraction", "FaceSequence", "VideoError", "extract"]
