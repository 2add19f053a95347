"""Branches on what the eye does not see: spectrum, phase, bands and residuals of single images."""

import flax.linen as nn

from fakedetect_jax.models.frequency.spectral_filter import FrequencyBranch

FREQUENCY: dict[str, type[nn.Module]] = {"spectral": FrequencyBranch}
