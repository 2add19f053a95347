"""Classical face forgeries, one a file: (target frames and landmarks, donor frames and landmarks) -> frames.

None shares code with the self-blending that trains a detector: what a detector learns there has to carry over to these.
"""

from data_builders.mini_forensics.forgeries.mesh_swap import mesh_swap
from data_builders.mini_forensics.forgeries.poisson_swap import poisson_swap
from data_builders.mini_forensics.forgeries.reenact import reenact

__all__ = ["mesh_swap", "poisson_swap", "reenact"]
