"""One experiment a file: get_config() -> ml_collections.ConfigDict."""
