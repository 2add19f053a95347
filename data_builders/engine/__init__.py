"""What all datasets share: from listed videos to a journal of face tracks, and from there to records."""
