"""Records of face sequences in, batches of clips out (numpy only)."""
