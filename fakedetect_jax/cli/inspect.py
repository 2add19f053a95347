"""`fakedetect inspect`: a built dataset's tracks on an HTML page."""

from __future__ import annotations

import argparse

from fakedetect_jax.cli.program import NAME, importing, path


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser("inspect", help="show a built dataset's tracks on an HTML page")
    parser.add_argument("dataset", help="a built dataset: NAME or NAME/CONFIG")
    parser.add_argument(
        "--data", type=path, default="data", metavar="DIR", help="folder of built datasets (default: data)"
    )
    parser.add_argument(
        "--out", type=path, metavar="FILE", help="the page to write (default: DATASET.inspect.html)"
    )
    parser.add_argument(
        "--tracks",
        type=int,
        default=6,
        metavar="N",
        help="show N tracks for each split and method, and for each measure (default: 6)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the random choice of tracks (default: 0)"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.inspection.contact_sheet import write_contact_sheet

    out = arguments.out or f"{arguments.dataset.replace('/', '-')}.inspect.html"
    page = write_contact_sheet(
        arguments.data, arguments.dataset, out, tracks=arguments.tracks, seed=arguments.seed
    )
    print(f"written: {page}")
