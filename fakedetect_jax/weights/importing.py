"""Loading foreign tensors into a model's variables, all or nothing, with an account of every name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import traverse_util

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief
from fakedetect_jax.weights.naming import Naming, flat_leaves
from fakedetect_jax.weights.reading import read_matching

# The batch counts that torch's batch norms keep beside their statistics.
_COUNTERS = re.compile(r".*\.num_batches_tracked")
_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of every name.

    Attributes:
        used: our paths to the foreign names they were filled from.
        missing: our paths without a foreign tensor.
        unused: foreign names that match nothing of ours.
        dropped: foreign names known to have no use here, such as an ImageNet classifier's.
        unfit: what is wrong with matching tensors, such as 'A is [3, 4], but B in the file is [3, 5]'.
        note: what to mind with weights of this family.
        prefix: what stands before the foreign names in the file, such as 'state_dict.module.'.
        beside: names of the file's tensors that are not below the prefix.
    """

    used: dict[str, str]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    dropped: tuple[str, ...]
    unfit: tuple[str, ...]
    note: str = ""
    prefix: str = ""
    beside: tuple[str, ...] = ()

    def describe(self) -> str:
        """Summarise the report in a few lines, leaving out torch's batch counts."""
        below = f", below {brief(self.prefix)!r} in the file" if self.prefix else ""
        lines = [f"{len(self.used)} tensors used{below}"]
        dropped = [name for name in self.dropped if not _COUNTERS.fullmatch(name)]
        for word, names in (
            ("missing from the file, left as they are", self.missing),
            ("not needed here", list(map(brief, dropped))),
            ("beside them in the file", list(map(brief, self.beside))),
        ):
            if names:
                lines.append(f"{len(names)} {word}: {_listed(names)}")
        return "\n".join([*lines, *([f"note: {self.note}"] if self.note else [])])


class MismatchError(WeightsError):
    """Weights fit a model only in part; `report` has all names."""

    def __init__(self, message: str, report: Report) -> None:
        super().__init__(message)
        self.report = report


def load_file(
    variables: Any,
    path: str | Path,
    naming: Naming,
    *,
    allow_missing: Sequence[str] = (),
    prefix: str | None = None,
) -> tuple[dict[str, Any], Report]:
    """Replace a model's parameters and statistics by those in a file of foreign weights.

    Args:
        variables: the model's arrays or shapes.
        path: a file that `read_matching` reads, which finds the weights in it by the naming's names.
        naming: as `make_naming` returns it.
        allow_missing: as for `load_into`.
        prefix: as for `read_matching`.

    Returns:
        As `load_into`.

    Raises:
        WeightsError: as `read_matching` and `load_into`.
    """
    found = read_matching(path, naming.expected, prefix=prefix)
    loaded, report = load_into(
        variables, found.tensors, naming, allow_missing=allow_missing, prefix=found.prefix
    )
    return loaded, dataclasses.replace(report, beside=found.beside)


def load_into(
    variables: Any,
    tensors: Mapping[str, np.ndarray],
    naming: Naming,
    *,
    allow_missing: Sequence[str] = (),
    prefix: str = "",
) -> tuple[dict[str, Any], Report]:
    """Replace a model's parameters and statistics by foreign tensors.

    Args:
        variables: the model's arrays or shapes (`jax.eval_shape`); not changed.
        tensors: arrays by foreign name.
        naming: as `make_naming` returns it.
        allow_missing: top-level modules, outside the trunk, that may stay as they are; 'head' means every module
            of that name or ending in '_head'.
        prefix: what stands before the foreign names in their file, for the report and the error.

    Returns:
        The variables, with float32 arrays where there was a tensor and other leaves unchanged, and the report.

    Raises:
        MismatchError: a tensor is missing, left over, of another shape or not finite. The message counts all such
            names and lists the first dozen of each kind; `report` has the rest.
        WeightsError: `allow_missing` names a module that must be filled, or none of the model's.
    """
    flat = flat_leaves(variables)
    _check_allowed(allow_missing, flat, naming)
    result, used, unfit = dict(flat), {}, []
    for path, leaf in flat.items():
        entry = naming.entries.get(path)
        if entry is None or entry.name not in tensors:
            continue
        used[path] = entry.name
        foreign = tensors[entry.name]
        if foreign.dtype.kind == "c":
            unfit.append(f"{entry.name} holds complex numbers")
            continue
        # A float64 beyond float32's range becomes infinite, and is refused below.
        with np.errstate(over="ignore"):
            array = np.ascontiguousarray(entry.layout(foreign, tuple(leaf.shape)), dtype=np.float32)
        if array.shape != tuple(leaf.shape):
            unfit.append(
                f"{path} is {list(leaf.shape)}, but {entry.name} in the file is {list(foreign.shape)}"
            )
        elif not np.isfinite(array).all():
            unfit.append(f"{entry.name} holds values that are not finite")
        else:
            result[path] = array
    missing = [path for path in flat if path not in used]
    left = set(tensors) - set(used.values())
    dropped = {name for name in left if re.fullmatch(naming.dropped, name) or _COUNTERS.fullmatch(name)}
    unused = tuple(sorted(left - dropped))
    report = Report(used, tuple(missing), unused, tuple(sorted(dropped)), tuple(unfit), naming.note, prefix)
    _refuse_partial(report, naming, allow_missing)
    return traverse_util.unflatten_dict(result, sep="/"), report


def _refuse_partial(report: Report, naming: Naming, allow_missing: Sequence[str]) -> None:
    missing = [path for path in report.missing if not _may_be_missing(path, naming, allow_missing)]
    wanted = [f"{path} ({naming.entries[path].name})" if path in naming.entries else path for path in missing]
    faults = [
        f"{len(names)} {word}: {_listed(names)}"
        for word, names in (
            ("missing from the file", wanted),
            ("in the file that the model has no place for", list(map(brief, report.unused))),
            ("that do not fit", report.unfit),
        )
        if names
    ]
    if not faults:
        return
    tops = sorted({_top(path) for path in missing if not naming.covers(path)})
    remedies = ["check --model and its options"] if len(tops) < len({_top(path) for path in missing}) else []
    if report.unused or report.unfit or not missing:
        remedies = ["check --model, its options and --from"]
    if tops:
        remedies.append(f"allow what may stay as it is (--allow-missing {','.join(tops)})")
    below = f" below {brief(report.prefix)!r}" if report.prefix else ""
    raise MismatchError(
        f"the weights fit the model only in part ({len(report.used)} names match{below}). {'. '.join(faults)}. "
        f"Remedy: {'; '.join(remedies)}",
        report,
    )


def _check_allowed(allow_missing: Sequence[str], flat: Mapping[str, Any], naming: Naming) -> None:
    tops = {_top(path) for path in flat if not naming.covers(path)}
    for name in allow_missing:
        if not any(_means(name, top) for top in tops):
            raise WeightsError(
                f"allow_missing names {name!r}; modules that may be missing: {', '.join(sorted(tops)) or 'none'}"
            )


def _may_be_missing(path: str, naming: Naming, allow_missing: Sequence[str]) -> bool:
    if naming.covers(path):
        return re.fullmatch(naming.fresh, path) is not None
    return any(_means(name, _top(path)) for name in allow_missing)


def _means(name: str, top: str) -> bool:
    return top == name or top.endswith(f"_{name}")


def _top(path: str) -> str:
    """Return the top-level module that holds a leaf."""
    return path.split("/")[1]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return "; ".join(names[:_SHOWN]) + more
