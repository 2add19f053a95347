"""The console script `fakedetect`: a file for each subcommand, and how a program ends."""
