"""`fakedetect build`: a dataset's videos to records of face tracks."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from fakedetect_jax.cli.program import NAME, importing, path

if TYPE_CHECKING:
    from fakedetect_jax.data_builders.engine.workers import Workers
    from fakedetect_jax.faces import Extraction


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser("build", help="turn a dataset's videos into records of face tracks")
    parser.add_argument("name", help="a folder of data_builders, such as faceforensics")
    parser.add_argument(
        "--source", type=path, metavar="DIR", help="the download, in the layout of its publisher"
    )
    parser.add_argument(
        "--out", type=path, default="data", metavar="DIR", help="folder of built datasets (default: data)"
    )
    parser.add_argument(
        "--variant", default="", help="such as c40 for faceforensics (default: the dataset's first)"
    )
    parser.add_argument(
        "--check", action="store_true", help="build nothing; show what is there and how it is split"
    )
    parser.add_argument(
        "--max-failures", type=int, metavar="N", help="stop once more than N videos have failed"
    )
    frames = parser.add_argument_group("frames to keep (default: all)")
    frames.add_argument(
        "--every", type=int, default=1, metavar="K", help="every K-th frame; within runs, frames K apart"
    )
    frames.add_argument(
        "--count", type=int, default=0, metavar="N", help="N frames, or N runs, evenly spread over the video"
    )
    frames.add_argument(
        "--run-length", type=int, default=1, metavar="L", help="runs of L frames, for models of motion"
    )
    crops = parser.add_argument_group("face crops")
    crops.add_argument("--size", type=int, help="side in pixels (default: 256)")
    crops.add_argument(
        "--margin", type=float, help="room around the face, as a share of its longer side (default: 0.3)"
    )
    crops.add_argument("--quality", type=int, help="JPEG quality (default: 95)")
    crops.add_argument("--face-crops", action="store_true", help="the source holds face crops already")
    crops.add_argument(
        "--detect-every", type=int, metavar="K", help="look for faces on every K-th frame (default: 1)"
    )
    work = parser.add_argument_group("how the work is done")
    work.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that decode (default: one a core); 0 decodes in this one, for a debugger",
    )
    work.add_argument(
        "--frame-timeout",
        type=float,
        metavar="SECONDS",
        help="a video without a new frame for so long has failed (default: 600)",
    )
    work.add_argument("--runner", help="a Beam runner instead: direct, flink, spark or dataflow")
    work.add_argument(
        "--beam-option", action="append", default=[], metavar="--NAME=VALUE", help="an option of the runner"
    )
    parser.set_defaults(run=_run)


def make_extraction(arguments: argparse.Namespace) -> Extraction:
    """Return how faces are to be cut out, as the command line says."""
    with importing(NAME):
        from fakedetect_jax.faces import Extraction, FrameChoice

    given = {name: getattr(arguments, name) for name in ("size", "margin", "quality", "detect_every")}
    return Extraction(
        frames=FrameChoice(arguments.every, arguments.count, arguments.run_length),
        face_crops=arguments.face_crops,
        **{name: value for name, value in given.items() if value is not None},
    )


def _make_workers(arguments: argparse.Namespace) -> Workers:
    with importing(NAME):
        from fakedetect_jax.data_builders.engine.workers import Workers

    given = {} if arguments.frame_timeout is None else {"frame_timeout": arguments.frame_timeout}
    return Workers(arguments.workers, arguments.runner, tuple(arguments.beam_option), **given)


def _run(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        import absl.logging

        from fakedetect_jax.data_builders.engine import build, report

    absl.logging.set_verbosity(absl.logging.ERROR)  # TFDS warns of every dataset that has options
    if arguments.check:
        listing = build.check(arguments.name, source=arguments.source, variant=arguments.variant)
        print(report.describe_listing(listing))
        return
    folder, made = build.build(
        arguments.name,
        arguments.out,
        source=arguments.source,
        variant=arguments.variant,
        extraction=make_extraction(arguments),
        workers=_make_workers(arguments),
        max_failures=arguments.max_failures,
    )
    print(f"{folder}\n{report.describe_build(made)}")
