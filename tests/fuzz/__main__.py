"""Use thousands of damaged inputs and print what came of them: `python -m tests.fuzz --count 10000`."""

from __future__ import annotations

import argparse
import collections
import sys
import time
from pathlib import Path

from tests.fuzz.runner import Runner
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import BAD, KINDS, RIGHT


def main() -> int:
    """Return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", choices=TARGETS, nargs="+", default=list(TARGETS), help="default: all")
    parser.add_argument("--count", type=int, default=1000, help="inputs over all targets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--number", type=int, help="use this input alone, and say what came of it")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that an input may take")
    parser.add_argument("--findings", type=Path, default=Path("fuzz_findings"), help="where to keep inputs")
    args = parser.parse_args()
    with Runner(args.findings, limit=args.limit) as runner:
        if args.number is not None:
            return _replay(runner, args)
        return _table(runner, args)


def _replay(runner: Runner, args: argparse.Namespace) -> int:
    bad = 0
    for name in args.target:
        outcome = runner.run(TARGETS[name], args.seed, args.number)
        print(
            f"{name}: {outcome.kind}, {outcome.seconds:.1f} s, {outcome.memory >> 20} MB\n{outcome.message}"
        )
        bad += outcome.kind in BAD
    return min(bad, 1)


def _table(runner: Runner, args: argparse.Namespace) -> int:
    print(f"| target | inputs | {' | '.join(KINDS)} | slowest | most memory | seconds |")
    print("|---" * (len(KINDS) + 5) + "|")
    totals: collections.Counter[str] = collections.Counter()
    notes: collections.Counter[str] = collections.Counter()
    for place, name in enumerate(args.target):
        count = args.count * (place + 1) // len(args.target) - args.count * place // len(args.target)
        counts, slowest, memory, start = collections.Counter(), 0.0, 0, time.monotonic()
        for number in range(args.first, args.first + count):
            outcome = runner.run(TARGETS[name], args.seed, number)
            counts[outcome.kind] += 1
            if outcome.kind == RIGHT and outcome.message:
                notes[f"{name}, right results: {outcome.message}"] += 1
            slowest, memory = max(slowest, outcome.seconds), max(memory, outcome.memory)
            if outcome.kind in BAD:
                print(
                    f"{name} {args.seed} {number}: {outcome.kind}: {outcome.message.strip()[-200:]}",
                    file=sys.stderr,
                    flush=True,
                )
        row = [str(counts[kind]) for kind in KINDS]
        spent = time.monotonic() - start
        print(
            f"| {name} | {count} | {' | '.join(row)} | {slowest:.1f} s | {memory >> 20} MB | {spent:.0f} |",
            flush=True,
        )
        totals += counts
    print(f"| all | {totals.total()} | {' | '.join(str(totals[kind]) for kind in KINDS)} | | | |")
    for note, count in notes.items():
        print(f"{note}: {count}")
    return int(any(totals[kind] for kind in BAD))


if __name__ == "__main__":
    sys.exit(main())
