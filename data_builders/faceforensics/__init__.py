"""FaceForensics++: a thousand YouTube videos and five forgeries of each, and Google's DeepFakeDetection."""
