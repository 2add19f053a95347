"""The console script `fakedetect`: its parser, and the run of a subcommand."""

from __future__ import annotations

import argparse

from fakedetect_jax.cli import build, experiment, inspect, models, predict, sweep, weights
from fakedetect_jax.cli.program import EXIT_CODES, NAME, run_program

_DESCRIPTION = "Train, evaluate and use detectors of face forgery, and build their datasets."

# The subcommands import what they work with when they run: `fakedetect build` need not wait for jax.


def main() -> None:
    """Run a subcommand, and exit with one of `EXIT_CODES`."""
    run_program(NAME, _run)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands; what it parses has `run`, a function of the arguments."""
    parser = argparse.ArgumentParser(prog=NAME, description=_DESCRIPTION, epilog=EXIT_CODES)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    experiment.add_commands(commands)
    for command in (sweep, predict, build, inspect, models, weights):
        command.add_command(commands)
    return parser


def _run() -> None:
    parser = make_parser()
    arguments, others = parser.parse_known_args()
    if "overrides" in arguments:
        arguments.overrides = others
    elif others:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    arguments.run(arguments)


if __name__ == "__main__":
    main()
