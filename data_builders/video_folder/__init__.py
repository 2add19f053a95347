"""Anybody's own videos: a tree of real/ and fake/METHOD/, or a CSV."""
