"""What all datasets share: listed videos become a journal of face tracks, and the journal becomes records."""
