"""Ways to join what several branches found in an image."""
