"""WildDeepfake: face sequences collected from the internet, streamed from their archives."""
