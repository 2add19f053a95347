"""Branches on what the eye does not see: spectrum, phase, bands and residuals of single images.

Like backbones, they map normalised images [n, h, w, 3] to pooled features [n, d] and the maps of every stage. A branch
without maps returns [] for them, which masks, cross attention and factorised encoders then refuse.
"""

import flax.linen as nn

from fakedetect_jax.models.frequency.band_dct import BandDCTBranch
from fakedetect_jax.models.frequency.high_pass import HighPassBranch
from fakedetect_jax.models.frequency.local_statistics import LocalStatisticsBranch
from fakedetect_jax.models.frequency.phase import PhaseBranch
from fakedetect_jax.models.frequency.spectral_filter import FrequencyBranch

# name: the branch
FREQUENCY: dict[str, type[nn.Module]] = {
    "spectral": FrequencyBranch,
    "phase": PhaseBranch,
    "dct_bands": BandDCTBranch,
    "local_statistics": LocalStatisticsBranch,
    "high_pass": HighPassBranch,
}
