"""Damaged inputs of every kind end in an error that names them, or in the right result; see `python -m tests.fuzz`."""

import collections

import pytest

from tests.fuzz import misbehaving
from tests.fuzz.runner import Runner
from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import BAD, CRASH, ERROR, HANG, RIGHT, SILENT, TRACEBACK

# Fewer of those that copy folders.
COUNTS = collections.defaultdict(lambda: 50, records=25, checkpoints=25, detectors=25)


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    with Runner(tmp_path_factory.mktemp("findings")) as runner:
        yield runner


@pytest.mark.parametrize("name", TARGETS)
def test_no_damaged_input_is_a_traceback_a_hang_a_crash_or_accepted_in_silence(name, runner):
    outcomes = [runner.run(TARGETS[name], 0, number) for number in range(COUNTS[name])]
    bad = [
        f"python -m tests.fuzz --target {name} --seed 0 --number {number}: {outcome.kind}: {outcome.message}"
        for number, outcome in enumerate(outcomes)
        if outcome.kind in BAD
    ]
    assert not bad, "\n".join(bad)
    # Damage that is always found, or never, tests nothing.
    assert {outcome.kind for outcome in outcomes} == {ERROR, RIGHT}


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (misbehaving.Names, ERROR),
        (misbehaving.Returns, RIGHT),
        (misbehaving.Raises, TRACEBACK),
        (misbehaving.NamesNothing, TRACEBACK),
        (misbehaving.Talks, TRACEBACK),
        (misbehaving.Clears, TRACEBACK),
        (misbehaving.Accepts, SILENT),
        (misbehaving.Strays, SILENT),
        (misbehaving.Takes, CRASH),
        (misbehaving.Hangs, HANG),
        (misbehaving.Crashes, CRASH),
    ],
)
def test_the_harness_counts_what_happens_keeps_the_input_and_goes_on(target, kind, tmp_path):
    with Runner(tmp_path, limit=2) as runner:
        runner.run(misbehaving.Returns, 0, 0)
        assert runner.run(target, 0, 7).kind == kind
        kept = tmp_path / f"{target.__name__}-0-7"
        assert kept.exists() == (kind in BAD)
        if kind in BAD:
            assert len((kept / "input" / "a.bin").read_bytes()) == 8
        assert runner.run(misbehaving.Returns, 0, 1).kind == RIGHT


def test_an_input_depends_on_its_seed_and_number_alone(tmp_path):
    def inputs():
        with Runner(tmp_path) as runner:
            for seed, number in ((0, 0), (0, 1), (1, 0)):
                runner.run(misbehaving.Raises, seed, number)
                yield (tmp_path / f"Raises-{seed}-{number}" / "input" / "a.bin").read_bytes()

    first = list(inputs())
    assert len(set(first)) == 3
    assert list(inputs()) == first
