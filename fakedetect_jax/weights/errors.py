"""What goes wrong with foreign weights."""


class WeightsError(ValueError):
    """Weights that cannot be had, read, or laid into a model; says which file or name, and the remedy."""
