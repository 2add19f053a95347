"""Where in a file the weights are, found by the names that the model's family expects.

Training scripts and wrappers put words before the names of a network: 'module.', 'state_dict.model.backbone.'. No list
of them could be complete, so the prefix is the one below which the most expected names are found.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.limits import brief
from fakedetect_jax.weights.state_dicts import StateDicts, full_name

# What torch.compile, FSDP and activation checkpointing put into the middle of names, where they wrap single blocks.
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
# Below this part of the expected names, they are taken for another network's.
_LEAST = 0.5
_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Match:
    """A place for the expected names in a file.

    Attributes:
        place: the place of the state dict.
        prefix: what its names begin with, such as 'module.'; may be empty.
        count: number of expected names found there.
    """

    place: str
    prefix: str
    count: int

    @property
    def full_prefix(self) -> str:
        """Return all that stands before the names: the place and the prefix."""
        return full_name(self.place, self.prefix)

    def has(self, part: str) -> bool:
        """Return whether the full prefix has these words in a row; it has none only if it is empty."""
        wanted = part.strip(".")
        return f".{wanted}." in f".{self.full_prefix}" if wanted else not self.full_prefix

    def names(self, state: Mapping[str, Any]) -> dict[str, str]:
        """Return the names below the prefix, without it and without wrappers, to the names in the state dict."""
        names: dict[str, str] = {}
        for name in state:
            if name.startswith(self.prefix):
                short = _without_wrappers(name.removeprefix(self.prefix).split("."))
                names[short if short not in names else name] = name
        return names


class NoMatchError(WeightsError):
    """A file has too few of the expected names; `states` has the names that it has."""

    def __init__(self, message: str, states: StateDicts[Any]) -> None:
        super().__init__(message)
        self.states = states


def find_matches(states: StateDicts[Any], expected: Collection[str]) -> list[Match]:
    """Return every prefix below which expected names are found, those with the most names first."""
    longest = max((name.count(".") + 1 for name in expected), default=0)
    counts: dict[tuple[str, str], int] = {}
    for place, state in states.items():
        for name in state:
            for prefix, short in _cuts(name, longest):
                if short in expected:
                    counts[place, prefix] = counts.get((place, prefix), 0) + 1
    matches = [Match(place, prefix, count) for (place, prefix), count in counts.items()]
    return sorted(matches, key=lambda match: (-match.count, len(match.full_prefix)))


def best_matches(
    states: StateDicts[Any], expected: Collection[str], prefix: str | None, where: str
) -> list[Match]:
    """Return the best match, or all if several are equally good.

    `prefix`, if given, is the prefix to look below, or a part of it: 'teacher' is enough for
    'state_dict.module.teacher.backbone.'. Of equally good ones, the very prefix is preferred.

    Raises:
        NoMatchError: fewer than half of the expected names are found, or none below `prefix`.
    """
    matches = find_matches(states, expected)
    allowed = [match for match in matches if prefix is None or match.has(prefix)]
    best = [match for match in allowed if match.count == allowed[0].count]
    if prefix is not None:
        best = [match for match in best if match.full_prefix.strip(".") == prefix.strip(".")] or best
    if not best or (prefix is None and best[0].count < _LEAST * len(expected)):
        raise NoMatchError(_explain(states, expected, matches, prefix, where), states)
    return best


def is_complete(states: StateDicts[Any], expected: Collection[str]) -> bool:
    """Return whether all expected names are found below one prefix."""
    matches = find_matches(states, expected)
    return bool(matches) and matches[0].count == len(expected)


def ambiguity(where: str, matches: Sequence[Match]) -> WeightsError:
    """Return the error for several prefixes that fit equally well."""
    prefixes = [match.full_prefix.removesuffix(".") for match in matches]
    return WeightsError(
        f"{where}: {matches[0].count} names fit equally well in {len(matches)} places, and their numbers differ: "
        f"{_listed([repr(brief(prefix)) for prefix in prefixes])}. Remedy: fakedetect weights import with one of them, "
        f"such as --prefix {brief(next(filter(None, prefixes)))}"
    )


def _cuts(name: str, longest: int) -> Iterator[tuple[str, str]]:
    """Yield every prefix of a name with what is behind it, without wrappers, of at most `longest` parts."""
    parts = name.split(".")
    behind: list[str] = []
    for number in reversed(range(len(parts))):
        if parts[number] in _WRAPPERS:
            continue
        behind.insert(0, parts[number])
        if len(behind) > longest:
            return
        yield "".join(f"{part}." for part in parts[:number]), ".".join(behind)


def _without_wrappers(parts: Sequence[str]) -> str:
    return ".".join(part for part in parts if part not in _WRAPPERS)


def _explain(
    states: StateDicts[Any],
    expected: Collection[str],
    matches: Sequence[Match],
    prefix: str | None,
    where: str,
) -> str:
    tried = [f"{match.count} below {brief(match.full_prefix)!r}" for match in matches]
    names = [full_name(place, name) for place, state in states.items() for name in state]
    limited = "" if prefix is None else f" below --prefix {brief(prefix)!r}"
    if any(name.startswith("params/") for name in names):
        return (
            f"{where}: has the names of this project, not those of another. Remedy: use the file as it is, with "
            "config.model.init_from"
        )
    remedies = ["check --from, --model and its options"]
    if matches:
        remedies.append(
            f"--prefix {brief(matches[0].full_prefix.removesuffix('.'))} lists what is missing there"
        )
    return (
        f"{where}: of the {len(expected)} expected names, such as {min(expected, default='')}, too few are in the file"
        f"{limited} ({_listed(tried) or 'none'}). It has {len(names)} tensors, such as "
        f"{_listed([brief(name) for name in names])}. Remedy: {'; '.join(remedies)}"
    )


def _listed(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more
