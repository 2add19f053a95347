"""TFDS builders: one folder per dataset, and the engine that they share."""
