"""What a built dataset looks like: tracks drawn by lot, the worst ones, and how their quality is spread."""
