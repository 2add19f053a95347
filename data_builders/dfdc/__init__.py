"""DFDC: the Deepfake Detection Challenge dataset, and its preview."""
