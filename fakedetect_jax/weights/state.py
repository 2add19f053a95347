"""The weights within a training script's save file: the right entry, and names without wrappers' prefixes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief

T = TypeVar("T")

# Where training scripts put the weights; the first entry present is used.
ENTRIES = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "params", "weights")
# What wrappers (DataParallel, torch.compile, a detector with the net as an attribute) put before every name.
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
# The counter that torch's averaged models keep beside the weights.
_COUNTER = "n_averaged"
_DEEPEST = 4


def find_state(
    tree: Any, is_tensor: Callable[[Any], bool], where: str, entry: str | None = None
) -> dict[str, Any]:
    """Find the mapping from names to tensors in `tree`, under `entry` if given.

    Values that are not tensors, such as an epoch number among the weights, are left out.
    """
    if entry is not None:
        if not isinstance(tree, Mapping) or entry not in tree:
            raise WeightsError(f"{where}: has no entry {entry!r}; it has {_shown(tree)}")
        return find_state(tree[entry], is_tensor, f"{where}, entry {entry}")
    node = tree
    for _ in range(_DEEPEST):
        if not isinstance(node, Mapping):
            break
        tensors = {name: value for name, value in node.items() if isinstance(name, str) and is_tensor(value)}
        if tensors:
            return tensors
        node = next((node[name] for name in ENTRIES if name in node), None)
    raise WeightsError(
        f"{where}: no named tensors found; it has {_shown(tree)}. Remedy: name the entry with --entry, "
        "or save only the state_dict()"
    )


def strip_prefixes(state: Mapping[str, T]) -> dict[str, T]:
    """Remove the wrapper prefixes that all names share, and the counter of averaged models."""
    stripped = {name: value for name, value in state.items() if name != _COUNTER}
    while shared := next((p for p in PREFIXES if stripped and all(n.startswith(p) for n in stripped)), None):
        stripped = {name.removeprefix(shared): value for name, value in stripped.items()}
    return stripped


def _shown(tree: Any) -> str:
    if not isinstance(tree, Mapping):
        return f"a {type(tree).__name__}"
    shown = [
        brief(key) if isinstance(key, str | int) else f"a {type(key).__name__}" for key in list(tree)[:12]
    ]
    return f"the entries {', '.join(shown) or '(none)'}"
