"""Ways to join what was found in the frames of a clip."""
