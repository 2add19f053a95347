"""Which facial landmarks are neighbours, and how a graph convolution tells neighbours apart.

The points are those of `fakedetect_jax.faces.landmarks`, with or without the forehead. The lines of the face are paths,
lids and lips closed ones. A few links between points that lie next to each other make the graph connected.

The partitions of a point's neighbourhood are those of Yan, Xiong and Lin, "Spatial Temporal Graph Convolutional
Networks for Skeleton-Based Action Recognition", AAAI 2018, section 3.3.
"""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Int

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.landmarks import IBUG_LANDMARKS, LANDMARKS
from fakedetect_jax.models.options import check_known

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
    *((21, 27), (22, 27), (39, 27), (42, 27)),  # brows and inner eye corners to the bridge of the nose
    *((17, 36), (19, 37), (21, 39), (22, 42), (24, 44), (26, 45)),  # brows to the eyes
    *((30, 33), (33, 51)),  # tip of the nose to its base, base to the upper lip
    *((48, 60), (51, 62), (54, 64), (57, 66)),  # outer to inner lips
    *((57, 8), (48, 4), (54, 12)),  # lips to chin and cheeks
    *((31, 2), (35, 14)),  # wings of the nose to the cheeks
]
_FOREHEAD = [
    *_path(0, *range(IBUG_LANDMARKS, LANDMARKS), 16),  # closes the contour of the face
    *((70, 18), (72, 20), (74, 21), (74, 22), (76, 23), (78, 25)),  # to the brows
]
# number of landmarks: edges
EDGES: dict[int, tuple[Edge, ...]] = {
    IBUG_LANDMARKS: tuple(_FEATURES + _LINKS),
    LANDMARKS: tuple(_FEATURES + _LINKS + _FOREHEAD),
}
CENTRE = 30  # tip of the nose


def hops(points: int, edges: Iterable[Edge]) -> Int[np.ndarray, "{points} {points}"]:
    """Return the number of edges on the shortest path between any two points; -1 where there is none."""
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
) -> Float[np.ndarray, "k {points} {points}"]:
    """Return the adjacency [k, from, to] of every subset of a point's neighbours, the point itself included.

    Columns of the sum over subsets add up to one: a point takes the mean over its neighbours.

    Args:
        points: number of points.
        edges: pairs of neighbours.
        partition: 'uniform' for one subset; 'distance' for the point and the others; 'spatial' for neighbours as far
            from the centre as the point, closer ones and farther ones, counted in edges.
        centre: the point from which 'spatial' counts.

    Raises:
        FakedetectError: an edge or the centre is not among the points, or a point is not connected to the centre.
    """
    check_known("graph", PARTITIONS, partition=partition)
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
