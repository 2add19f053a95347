"""From a video or a folder of frames to face sequences, with PyAV, OpenCV and Pillow and vendored weights."""

from fakedetect_jax.faces.extract import extract_faces
from fakedetect_jax.faces.options import Extraction, FrameChoice
from fakedetect_jax.faces.sequence import ExtractedFaces, FaceSequence
from fakedetect_jax.faces.video import VideoError

__all__ = ["ExtractedFaces", "Extraction", "FaceSequence", "FrameChoice", "VideoError", "extract_faces"]
