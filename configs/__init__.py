"""One config a file: get_config(arg) returns an ml_collections.ConfigDict, and sweep() may yield overrides."""
