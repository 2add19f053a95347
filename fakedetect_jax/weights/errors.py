"""The error for foreign weights."""

from fakedetect_jax.errors import FakedetectError


class WeightsError(FakedetectError):
    """Weights cannot be found, read, or loaded into a model; the message names the file or tensor, and the remedy."""
