"""From foreign names to our paths: each family's table, applied to the model at hand.

A family's table maps our layers to foreign names. An entry for a layer that our tree lacks does nothing, and
`importing.load_into` refuses a file that lacks a tensor, so one table serves all variants of a model.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from fakedetect_jax.weights.errors import WeightsError

# Converts a foreign array to our layout, given our shape. It may leave an array that does not fit unchanged.
Layout = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
# Paths of our parameters and statistics, without the collection, such as 'stage0_block1/expand/kernel'.
Paths = frozenset[str]

TORCH_LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
NEVER = r"(?!)"
# Kind of trunk: (a leaf that only this kind has, its first convolution).
TRUNKS: dict[str, tuple[str, str]] = {
    "convnext_v2": ("stage0_block0/response_norm/scale", "stem/kernel"),
    "convnext": ("stage0_block0/depthwise_kernel", "stem/kernel"),
    "resnet": ("stage0_block0/reduce/kernel", "stem/kernel"),
    "efficientnet": ("stage0_block0/depthwise/kernel", "stem/kernel"),
    "xception": ("block1/conv0/depthwise_kernel", "conv1/kernel"),
    "r2plus1d": ("stem_space/kernel", "stem_space/kernel"),
    "i3d": ("mixed3b/branch0/kernel", "conv1a/kernel"),
    "vivit": ("tubelets/kernel", "tubelets/kernel"),
    "m2tr": ("layer0/patches/query/kernel", "trunk/stem/kernel"),
    "meso4": ("conv0/kernel", "conv0/kernel"),
    "meso_inception4": ("inception0/branch0/kernel", "inception0/branch0/kernel"),
}
# Linear layers of our models that give a frame's logit.
HEADS = ("frame_head", "head")


@dataclasses.dataclass(frozen=True)
class Entry:
    """The origin of one of our leaves: the foreign name, and the layout that converts its array."""

    name: str
    layout: Layout


# Our layer, such as 'stage0_block1/expand': the foreign layer; or our leaf: the foreign tensor with its own layout.
Table = dict[str, str | Entry]


@dataclasses.dataclass(frozen=True)
class Naming:
    """Foreign names for one model.

    Attributes:
        entries: our paths, with the collection, to their entries.
        trunk: the module that the entries fill; "" if it is the whole model, None if every module counts by itself.
        outside: top-level modules to leave out where `trunk` is the whole model, such as our head.
        fresh: regex of our paths in the trunk that such files never have, and that keep their random values.
        dropped: regex of foreign names that the model does not use, such as an ImageNet classifier's.
        note: what to mind when using weights of this family.
    """

    entries: Mapping[str, Entry]
    trunk: str | None = ""
    outside: tuple[str, ...] = ()
    fresh: str = NEVER
    dropped: str = NEVER
    note: str = ""

    @property
    def expected(self) -> frozenset[str]:
        """The foreign names that the entries are filled from."""
        return frozenset(entry.name for entry in self.entries.values())

    def covers(self, path: str) -> bool:
        """Return whether our leaf is in the trunk, and so must be filled."""
        top = path.split("/")[1]
        return top not in self.outside if self.trunk == "" else top == self.trunk

    def modules_beside(self, variables: Any) -> list[str]:
        """Return the top-level modules of a model that hold leaves outside the trunk."""
        return sorted({path.split("/")[1] for path in flat_leaves(variables) if not self.covers(path)})

    def with_layout(self, path: str, layout: Layout) -> Naming:
        """Return a copy that applies `layout` to the leaf at `path` after its own layout."""
        entry = self.entries[path]
        both = Entry(entry.name, lambda array, shape: layout(entry.layout(array, shape), shape))
        return dataclasses.replace(self, entries={**self.entries, path: both})


def torch_layout(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Convert torch's kernels and vectors to our layout.

    Kernels go from [out, in, *window] to [*window, in, out]; depthwise ones from [channels, 1, h, w] to
    [h, w, channels]; linear ones from [out, in] or [out, in, 1, 1] to [in, out] or, where ours is a convolution,
    [1, 1, in, out]. Vectors lose axes of size one.
    """
    if len(shape) == 1:
        return array.reshape(-1) if array.size == max(array.shape, default=1) else array
    if array.ndim < 2:
        return array
    kernel = np.moveaxis(array, (1, 0), (-2, -1))
    if kernel.ndim == 4 and len(shape) == 3 and kernel.shape[2] == 1:
        return kernel[:, :, 0]
    one_by_one = all(side == 1 for side in kernel.shape[:-2])
    if one_by_one and len(shape) in (2, 4) and all(side == 1 for side in shape[:-2]):
        return kernel.reshape((1,) * (len(shape) - 2) + kernel.shape[-2:])
    return kernel


def as_it_is(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array unchanged, for files in our layout."""
    return array


@dataclasses.dataclass(frozen=True)
class Family:
    """How one source names the parts of one kind of trunk.

    Attributes:
        table: maps the trunk's paths in our model to its table.
        leaves: our leaf names to the foreign ones, for layers in the table.
        layout: the layout of all leaves without their own entry in the table.
        head: the foreign linear layer that gives the logit, used if the model has a head to take it.
        head_layout: the layout of the head's leaves.
        outside, fresh, dropped, note: as in `Naming`.
    """

    table: Callable[[Paths], Table]
    leaves: Mapping[str, str] = dataclasses.field(default_factory=lambda: TORCH_LEAVES)
    layout: Layout = torch_layout
    head: str | None = None
    head_layout: Layout = torch_layout
    outside: tuple[str, ...] = ()
    fresh: str = NEVER
    dropped: str = NEVER
    note: str = ""


def make_naming(families: Mapping[str, Family], variables: Any, *, into: str | None = None) -> Naming:
    """Apply a source's families to a model's variables (arrays or shapes).

    `into` names the module to load into where several would fit, such as 'spatial'; "" is the model itself.
    """
    leaves = list(flat_leaves(variables))
    trunk, kind = find_trunk(leaves, families, into)
    family = families[kind]
    before = f"{trunk}/" if trunk else ""
    inside = {leaf: leaf.split("/", 1)[1].removeprefix(before) for leaf in leaves if _is_under(leaf, before)}
    table = family.table(frozenset(inside.values()))
    entries = {
        leaf: entry for leaf, path in inside.items() if (entry := _entry(path, table, family)) is not None
    }
    dropped = family.dropped
    if family.head is not None:
        head = next((h for h in HEADS if trunk and f"params/{h}/kernel" in leaves), None)
        if head is None:
            dropped = rf"{dropped}|{re.escape(family.head)}\..*"
        else:
            entries |= {
                f"params/{head}/{leaf}": Entry(f"{family.head}.{family.leaves[leaf]}", family.head_layout)
                for leaf in ("kernel", "bias")
            }
    return Naming(entries, trunk, family.outside, family.fresh, dropped, family.note)


def same_names(variables: Any) -> Naming:
    """Return the naming of files that this package wrote: every leaf by its path."""
    return Naming({leaf: Entry(leaf, as_it_is) for leaf in flat_leaves(variables)}, trunk=None)


def flat_leaves(variables: Any) -> dict[str, Any]:
    """Return a model's arrays or shapes by path, such as 'params/stem/kernel'."""
    return traverse_util.flatten_dict(dict(variables), sep="/")


def find_trunk(leaves: Iterable[str], known: Iterable[str], into: str | None = None) -> tuple[str, str]:
    """Return the module that weights of a `known` kind fit ("" is the model itself), and its kind."""
    params = {leaf.removeprefix("params/") for leaf in leaves if leaf.startswith("params/")}
    places = {leaf.split("/", 1)[0] for leaf in params}
    found = {}
    for place in ["", *sorted(places)] if into is None else [into]:
        before = f"{place}/" if place else ""
        kind = next((kind for kind, (sign, _) in TRUNKS.items() if before + sign in params), None)
        if kind is not None:
            found[place] = kind
    fitting = {place: kind for place, kind in found.items() if kind in set(known)}
    if len(fitting) != 1:
        there = ", ".join(f"{kind} in {place or 'the model itself'}" for place, kind in found.items())
        raise WeightsError(
            f"these weights are for {', '.join(known)}; the model has {there or 'none of these'}"
            + (f" in {into!r}" if into else "")
            + (". Remedy: name the module to load into with --into" if len(fitting) > 1 else "")
        )
    return next(iter(fitting.items()))


def first_convolution(naming: Naming) -> str:
    """Return our path of the convolution that sees the images."""
    before = f"params/{naming.trunk}/" if naming.trunk else "params/"
    return next(before + first for sign, first in TRUNKS.values() if before + sign in naming.entries)


def conv_norm(ours: str, conv: str, norm: str) -> Table:
    """Map a convolution and its batch norm, which is part of our layer."""
    return {ours: conv, f"{ours}/norm": norm}


def blocks(paths: Paths) -> list[tuple[int, int]]:
    """Return (stage, index within the stage) of each block, in order."""
    found = (re.match(r"stage(\d+)_block(\d+)/", path) for path in paths)
    return sorted({(int(match[1]), int(match[2])) for match in found if match})


def _is_under(leaf: str, before: str) -> bool:
    return leaf.split("/", 1)[1].startswith(before)


def _entry(path: str, table: Table, family: Family) -> Entry | None:
    found = table.get(path)
    if found is None:
        layer, _, leaf = path.rpartition("/")
        if layer not in table or leaf not in family.leaves:
            return None
        found = f"{table[layer]}.{family.leaves[leaf]}"
    return found if isinstance(found, Entry) else Entry(found, family.layout)
