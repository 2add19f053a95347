"""Celeb-DF: videos of celebrities and face swaps among them, in two versions."""
