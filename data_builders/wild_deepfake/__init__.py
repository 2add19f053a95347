"""WildDeepfake: face sequences collected from the internet and read straight from their archives."""
