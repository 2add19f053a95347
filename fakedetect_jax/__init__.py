"""Face-forgery detection in video, measured on forgeries that training never saw."""

__version__ = "0.1.0"
