"""TFDS builders: one folder a dataset, and the base that they share."""
