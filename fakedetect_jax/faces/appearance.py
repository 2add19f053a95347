"""What a face looks like, coarsely: enough to tell a cut to another person in the same place."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fakedetect_jax.faces import warp
from fakedetect_jax.faces.mesh import Mesh, region_of_mesh

_SIZE = 24


def thumbnail(image: UInt8[np.ndarray, "h w 3"], mesh: Mesh) -> Float[np.ndarray, "24 24"]:
    """The levelled face in grey, with mean 0 and norm 1: the product of two is their correlation."""
    region = region_of_mesh(mesh.points)
    window = warp.similarity(region.centre, region.side / 1.5, region.angle, _SIZE)
    face = warp.warp_square(image, window, _SIZE, cv2.INTER_LINEAR)
    grey = cv2.cvtColor(face, cv2.COLOR_BGR2GRAY).astype(np.float64)
    grey -= grey.mean()
    return grey / max(float(np.linalg.norm(grey)), 1e-6)
