"""`fakedetect models`: every model with its size, cost and source."""

from __future__ import annotations

import argparse

from fakedetect_jax.cli.program import NAME, importing


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("models", help="list the models with parameters, FLOPs and source")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.models import table
        from fakedetect_jax.models.catalogue import CATALOGUE

    print(f"{'model':32} {'parameters':>13} {'GFLOPs':>9}  {'of frames x pixels':18}  source")
    for name in CATALOGUE:
        (row,) = table([name])  # one at a time: counting the largest takes a while
        clip = f"{row.input[1]} x {row.input[2]}"
        print(f"{name:32} {row.parameters:13,d} {row.flops / 1e9:9.2f}  {clip:18}  {row.source}", flush=True)
