"""DeeperForensics-1.0: faces of a hundred actors swapped into the videos of FaceForensics++."""
