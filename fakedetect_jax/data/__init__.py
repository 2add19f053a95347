"""From records of face sequences to batches of clips, with NumPy alone."""
