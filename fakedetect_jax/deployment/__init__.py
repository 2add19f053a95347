"""A detector outside training: its files, its verdicts, and their pictures."""
