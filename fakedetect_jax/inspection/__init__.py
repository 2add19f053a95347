"""What a built dataset looks like: random tracks, the worst tracks, and the distribution of their quality."""
