"""The state dicts within what a training script saves: each dict of tensors by name, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief

T = TypeVar("T")
# A state dict's place in its file, such as 'state_dict' or 'callbacks.0.ema', to its tensors by name.
StateDicts = dict[str, dict[str, T]]

# Deep enough for dicts within lists within dicts of any training script.
_DEEPEST = 8
_MOST_CONTAINERS = 1_000_000


def find_state_dicts(tree: Any, is_tensor: Callable[[Any], bool], where: str) -> StateDicts[Any]:
    """Find every dict in `tree` that has tensors under text keys, searching dicts, lists and tuples.

    A dict that several places share is found once. What else a dict holds, such as an epoch's number, is left out.

    Raises:
        WeightsError: there is none, or too many containers to search.
    """
    found: StateDicts[Any] = {}
    for count, (place, node) in enumerate(_containers("", tree, set(), _DEEPEST)):
        if count == _MOST_CONTAINERS:
            raise WeightsError(
                f"{where}: has more than {_MOST_CONTAINERS:,} dicts and lists. Remedy: save only the state_dict()"
            )
        if type(node) is dict:
            tensors = {key: value for key, value in node.items() if type(key) is str and is_tensor(value)}
            if tensors:
                found.setdefault(place, tensors)
    if not found:
        raise WeightsError(
            f"{where}: no named tensors found; it has {_shown(tree)}. Remedy: save the model's state_dict()"
        )
    return found


def full_name(place: str, name: str) -> str:
    """Return the name of a tensor, or a prefix, with the place of its state dict before it."""
    return f"{place}.{name}" if place else name


def _containers(place: str, node: Any, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    if type(node) not in (dict, list, tuple) or id(node) in seen:
        return
    seen.add(id(node))
    yield place, node
    if depth:
        for key, value in node.items() if type(node) is dict else enumerate(node):
            yield from _containers(full_name(place, brief(key)), value, seen, depth - 1)


def _shown(tree: Any) -> str:
    if type(tree) is not dict:
        return f"a {type(tree).__name__}"
    shown = [
        brief(key) if isinstance(key, str | int) else f"a {type(key).__name__}" for key in list(tree)[:12]
    ]
    return f"the entries {', '.join(shown) or '(none)'}"
