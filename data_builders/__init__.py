"""TFDS builders: one folder a dataset, and the engine that they share."""
