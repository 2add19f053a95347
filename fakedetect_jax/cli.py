"""The console script `fakedetect`: build datasets, list models, score videos."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    """Runs a subcommand; a mistake of the user's gets one line, not a traceback."""
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except ValueError as error:
        sys.exit(f"fakedetect: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fakedetect", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="turn a dataset's videos into records of face tracks")
    build.add_argument("name", help="a folder of data_builders, e.g. mini_forensics")
    build.add_argument("--out", default="data", help="where built datasets lie (default: data)")
    build.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    build.set_defaults(run=_build)

    predict = commands.add_parser("predict", help="score the faces of a video")
    predict.add_argument("video", help="a video file, an image, or a folder of frames")
    predict.add_argument("--detector", required=True, help="folder that launch.py --mode=export wrote")
    predict.add_argument(
        "--out", help="folder of the JSON and the picture (default: beside the video's name)"
    )
    predict.set_defaults(run=_predict)

    models = commands.add_parser("models", help="list the models with parameters, FLOPs and source")
    models.set_defaults(run=_models)
    return parser


# Each imports what it needs: `fakedetect build` should not wait for jax.


def _build(arguments: argparse.Namespace) -> None:
    from data_builders.build import build

    folder, report = build(arguments.name, arguments.out, workers=arguments.workers)
    print(f"{folder}")
    print(f"{'split':12} {'method':16} {'videos':>7} {'failed':>7} {'tracks':>7} {'frames':>7}")
    for row in report["summary"]:
        print(
            f"{row['split']:12} {row['method']:16} {row['videos']:7d} {row['failed']:7d} "
            f"{row['tracks']:7d} {row['frames']:7d}"
        )
    for video in report["videos"]:
        if video["failure"]:
            print(f"failed: {video['split']}/{video['method']}/{video['video_id']}: {video['failure']}")


def _predict(arguments: argparse.Namespace) -> None:
    from fakedetect_jax.inference import load_detector
    from fakedetect_jax.timeline import draw_timeline, write_json

    out = Path(arguments.out or f"{Path(arguments.video).stem}.fakedetect")
    verdicts = load_detector(arguments.detector).predict(arguments.video)
    out.mkdir(parents=True, exist_ok=True)
    document = write_json(out / "verdict.json", arguments.video, arguments.detector, verdicts)
    if not verdicts:
        print(f"{arguments.video}: no face found; nothing was scored ({document})")
        return
    for verdict in verdicts:
        seconds = verdict.sequence.timestamp
        print(
            f"track {verdict.track}: {'FAKE' if verdict.fake else 'real'}  P(fake) = {verdict.score:.3f}  "
            f"({seconds[0]:.1f} s to {seconds[-1]:.1f} s, {len(verdict.frame_index)} of {len(seconds)} frames "
            f"looked at, {len(verdict.clip_scores)} clips)"
        )
    print(f"written: {document}, {draw_timeline(out / 'timeline.png', arguments.video, verdicts)}")


def _models(arguments: argparse.Namespace) -> None:
    from fakedetect_jax.models import table

    print(f"{'model':20} {'parameters':>13} {'GFLOPs at 224':>14}  source")
    for row in table():
        print(f"{row.name:20} {row.parameters:13,d} {row.flops / 1e9:14.2f}  {row.source}")


if __name__ == "__main__":
    main()
