"""The console script `fakedetect`, and how a program ends."""
