"""What goes wrong with foreign weights."""

from fakedetect_jax.errors import FakedetectError


class WeightsError(FakedetectError):
    """Weights that cannot be had, read, or laid into a model; says which file or name, and the remedy."""
