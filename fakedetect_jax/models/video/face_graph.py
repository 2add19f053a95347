"""Which facial landmarks are neighbours, and how a graph convolution tells neighbours apart.

The graphs are over points in iBUG order (0-16 jaw, 17-26 brows, 27-35 nose, 36-47 eyes, 48-67 lips) and, with 81
points, the forehead from image left to right (68-80). Lines of the face are paths, lids and lips closed ones; a few
links between them make the graph one piece, and each of them goes between points that lie next to each other.

Partitions of a point's neighbourhood are those of Yan, Xiong and Lin, "Spatial Temporal Graph Convolutional Networks
for Skeleton-Based Action Recognition", AAAI 2018, section 3.3.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.temporal.options import check_known

PARTITIONS = ("uniform", "distance", "spatial")

Edge = tuple[int, int]


def _path(*points: int) -> list[Edge]:
    return list(itertools.pairwise(points))


def _loop(*points: int) -> list[Edge]:
    return _path(*points, points[0])


_FEATURES = [
    *_path(*range(17)),  # jaw
    *_path(*range(17, 22)),  # brows
    *_path(*range(22, 27)),
    *_path(*range(27, 31)),  # bridge and base of the nose
    *_path(*range(31, 36)),
    *_loop(*range(36, 42)),  # lids
    *_loop(*range(42, 48)),
    *_loop(*range(48, 60)),  # outer and inner line of the lips
    *_loop(*range(60, 68)),
]
_LINKS = [
    *((0, 17), (16, 26)),  # ends of the jaw to the brows
    *(
        (21, 27),
        (22, 27),
        (39, 27),
        (42, 27),
    ),  # brows and inner corners of the eyes to the bridge of the nose
    *((17, 36), (19, 37), (21, 39), (22, 42), (24, 44), (26, 45)),  # brows to the eyes
    *((30, 33), (33, 51)),  # tip of the nose to its base, and that to the upper lip
    *((48, 60), (51, 62), (54, 64), (57, 66)),  # outer to inner lips
    *((57, 8), (48, 4), (54, 12)),  # lips to chin and cheeks
    *((31, 2), (35, 14)),  # wings of the nose to the cheeks
]
_FOREHEAD = [
    *_path(0, *range(68, 81), 16),  # closes the contour of the face
    *((70, 18), (72, 20), (74, 21), (74, 22), (76, 23), (78, 25)),  # to the brows
]
# number of landmarks: edges
EDGES: dict[int, tuple[Edge, ...]] = {
    68: tuple(_FEATURES + _LINKS),
    81: tuple(_FEATURES + _LINKS + _FOREHEAD),
}
CENTRE = 30  # tip of the nose


def hops(points: int, edges: Iterable[Edge]) -> np.ndarray:
    """Edges on the shortest way between any two points: [points, points]; -1 where there is none."""
    adjacent = np.eye(points, dtype=bool)
    for first, second in edges:
        adjacent[first, second] = adjacent[second, first] = True
    distance = np.full((points, points), -1)
    reached = np.eye(points, dtype=bool)
    for step in range(points):
        distance[reached & (distance < 0)] = step
        reached = (reached.astype(int) @ adjacent) > 0
    return distance


def partitioned(
    points: int, edges: Sequence[Edge], *, partition: str = "spatial", centre: int = CENTRE
) -> Float[np.ndarray, "k points points"]:
    """Adjacency [k, from, to] of every subset of the neighbours, a point being a neighbour of itself.

    'uniform' has one subset; 'distance' the point and the others; 'spatial' those as far from the `centre` as the
    point (itself among them), those closer and those farther, in edges. Columns of the sum over subsets add up to
    one: a point takes the mean over its neighbours.
    """
    check_known("graph", "partition", partition, PARTITIONS)
    if not 0 <= centre < points:
        raise FakedetectError(f"graph centre={centre!r} must be one of {points} points")
    outside = [edge for edge in edges if min(edge) < 0 or max(edge) >= points]
    if outside:
        raise FakedetectError(f"graph edges {outside!r} are not between {points} points")
    distance = hops(points, edges)
    apart = np.flatnonzero(distance[centre] < 0)
    if len(apart):
        raise FakedetectError(f"graph points {apart.tolist()} are not connected to centre={centre}")
    neighbours = distance >= 0
    neighbours &= distance <= 1
    if partition == "uniform":
        subsets = [neighbours]
    elif partition == "distance":
        subsets = [neighbours & (distance == step) for step in (0, 1)]
    else:
        beyond = distance[centre][:, None] - distance[centre][None]
        subsets = [neighbours & (np.sign(beyond) == side) for side in (0, -1, 1)]
    return (np.stack(subsets) / neighbours.sum(axis=0)).astype(np.float32)
