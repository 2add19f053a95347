"""The console script `fakedetect`: build and inspect datasets, list models, score videos, import weights."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fakedetect_jax.cli.program import EXIT_CODES, importing, run_program

if TYPE_CHECKING:
    from fakedetect_jax.data_builders.engine.execution import Execution
    from fakedetect_jax.faces import Extraction

NAME = "fakedetect"


def main() -> None:
    """Runs a subcommand, and exits with one of the codes of fakedetect_jax/program.py."""
    run_program(NAME, _run)


def _run() -> None:
    arguments = _parser().parse_args()
    arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__, epilog=EXIT_CODES)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_build(commands.add_parser("build", help="turn a dataset's videos into records of face tracks"))
    _add_inspect(commands.add_parser("inspect", help="show a built dataset's tracks on an HTML page"))
    _add_predict(commands.add_parser("predict", help="score the faces of a video"))

    models = commands.add_parser("models", help="list the models with parameters, FLOPs and source")
    models.set_defaults(run=_models)

    weights = commands.add_parser("weights", help="bring weights from elsewhere into a model")
    _add_import(weights.add_subparsers(required=True, metavar="ACTION").add_parser("import"))
    return parser


def _path(text: str) -> str:
    """A name of a file or folder; a shell leaves the ~ of --out=~/data as it is."""
    return os.path.expanduser(text)


def _add_predict(predict: argparse.ArgumentParser) -> None:
    predict.add_argument("video", type=_path, help="a video file, an image, or a folder of frames")
    predict.add_argument(
        "--detector", type=_path, required=True, help="folder that launch.py --mode=export wrote"
    )
    predict.add_argument(
        "--out", type=_path, help="folder of the JSON and the picture (default: beside the video's name)"
    )
    predict.add_argument("--face-crops", action="store_true", help="the pictures are face crops already")
    predict.set_defaults(run=_predict)


def _add_build(build: argparse.ArgumentParser) -> None:
    build.add_argument("name", help="a folder of data_builders, e.g. faceforensics")
    build.add_argument(
        "--source", type=_path, metavar="DIR", help="the download, as its publisher lays it out"
    )
    build.add_argument("--out", type=_path, default="data", help="where built datasets lie (default: data)")
    build.add_argument(
        "--variant", default="", help="e.g. c40 for faceforensics (default: the dataset's first)"
    )
    build.add_argument(
        "--check", action="store_true", help="only say what is there and what the splits will be"
    )
    build.add_argument("--max-failures", type=int, help="stop when more videos than this have failed")
    kept = build.add_argument_group("which frames are kept (default: all)")
    kept.add_argument("--every", type=int, default=1, metavar="K", help="every K-th, or K apart within a run")
    kept.add_argument("--count", type=int, default=0, metavar="N", help="N of them, or N runs, evenly spread")
    kept.add_argument(
        "--run-length", type=int, default=1, metavar="L", help="frames of a run, for models of motion"
    )
    crops = build.add_argument_group("crops")
    crops.add_argument("--size", type=int, help="side in pixels (default: 256)")
    crops.add_argument("--margin", type=float, help="around the face, of its longer side (default: 0.3)")
    crops.add_argument("--quality", type=int, help="of the JPEG (default: 95)")
    crops.add_argument("--face-crops", action="store_true", help="the source holds face crops already")
    crops.add_argument(
        "--detect-every", type=int, help="look for faces on every so-many-th frame (default: 1)"
    )
    where = build.add_argument_group("where the work is done")
    where.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)"
    )
    where.add_argument("--runner", help="a Beam runner instead: direct, flink, spark, dataflow")
    where.add_argument(
        "--beam-option", action="append", default=[], metavar="--NAME=VALUE", help="for the runner"
    )
    build.set_defaults(run=_build)


def _add_inspect(inspect: argparse.ArgumentParser) -> None:
    inspect.add_argument("dataset", help="a built dataset: its name, or name/config")
    inspect.add_argument(
        "--data", type=_path, default="data", help="where built datasets lie (default: data)"
    )
    inspect.add_argument("--out", type=_path, metavar="FILE", help="the page (default: DATASET.inspect.html)")
    inspect.add_argument(
        "--tracks", type=int, default=6, help="shown per split and method, and per measure (default: 6)"
    )
    inspect.add_argument("--seed", type=int, default=0, help="of the tracks drawn by lot (default: 0)")
    inspect.set_defaults(run=_inspect)


def _add_import(weights: argparse.ArgumentParser) -> None:
    weights.description = "Turn a file of foreign weights into one of ours; no code in the file is run."
    weights.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="timm, torchvision, transformers, convnext, efficientnet-pytorch, sbi, m2tr or mesonet",
    )
    weights.add_argument(
        "file", type=_path, help="safetensors, .pth, .pt, .tar, .bin or .h5; or hf:owner/name[:file]"
    )
    weights.add_argument(
        "--model",
        required=True,
        help="of `fakedetect models`, or a backbone alone: efficientnet, resnet, ...",
    )
    weights.add_argument("--options", default="{}", metavar="JSON", help="of the model (default: none)")
    weights.add_argument(
        "--out", type=_path, required=True, metavar="FILE", help="the safetensors file to write"
    )
    weights.add_argument(
        "--allow-missing",
        type=lambda text: text.split(","),
        default=[],
        metavar="MODULE[,MODULE]",
        help="that may stay as they are, e.g. head",
    )
    weights.add_argument(
        "--into", metavar="MODULE", help="that is meant, where the model has several, e.g. spatial"
    )
    weights.add_argument("--entry", help="where in the file the weights lie, e.g. state_dict_ema")
    weights.add_argument(
        "--channels", type=int, default=3, help="that a backbone alone sees; its first convolution is adapted"
    )
    weights.add_argument(
        "--size", type=int, help="side of the frames in pixels (default: that of the model's clips)"
    )
    weights.set_defaults(run=_import_weights)


# Each imports what it needs: `fakedetect build` should not wait for jax.


def _build(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.data_builders.engine import build, report

    if arguments.check:
        listing = build.check(arguments.name, source=arguments.source, variant=arguments.variant)
        print(report.describe_listing(listing))
        return
    folder, made = build.build(
        arguments.name,
        arguments.out,
        source=arguments.source,
        variant=arguments.variant,
        extraction=_extraction(arguments),
        execution=_execution(arguments),
        max_failures=arguments.max_failures,
    )
    print(f"{folder}\n{report.describe_build(made)}")


def _extraction(arguments: argparse.Namespace) -> Extraction:
    with importing(NAME):
        from fakedetect_jax.faces import Extraction, FrameChoice

    given = {name: getattr(arguments, name) for name in ("size", "margin", "quality", "detect_every")}
    return Extraction(
        frames=FrameChoice(arguments.every, arguments.count, arguments.run_length),
        face_crops=arguments.face_crops,
        **{name: value for name, value in given.items() if value is not None},
    )


def _execution(arguments: argparse.Namespace) -> Execution:
    with importing(NAME):
        from fakedetect_jax.data_builders.engine.execution import Execution

    return Execution(arguments.workers, arguments.runner, tuple(arguments.beam_option))


def _inspect(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.inspection.contact_sheet import write_contact_sheet

    out = arguments.out or f"{arguments.dataset.replace('/', '-')}.inspect.html"
    page = write_contact_sheet(
        arguments.data, arguments.dataset, out, tracks=arguments.tracks, seed=arguments.seed
    )
    print(f"written: {page}")


def _predict(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.deployment.inference import load_detector
        from fakedetect_jax.deployment.timeline import (
            TIMELINE_PEOPLE,
            VERDICT,
            check_free,
            draw_timeline,
            write_json,
        )
        from fakedetect_jax.parallel import keep_compiled_programs

    out = Path(arguments.out or f"{Path(arguments.video).stem}.fakedetect")
    keep_compiled_programs()
    check_free(out, arguments.video)
    verdicts = load_detector(arguments.detector).predict(arguments.video, face_crops=arguments.face_crops)
    document = write_json(out / VERDICT, arguments.video, arguments.detector, verdicts)
    if not verdicts:
        print(f"{arguments.video}: no face found; nothing was scored ({document})")
        return
    for verdict in verdicts:
        first, last = verdict.tracks[0].timestamp[0], verdict.tracks[-1].timestamp[-1]
        frames = sum(len(track) for track in verdict.tracks)
        print(
            f"person {verdict.person}: {'FAKE' if verdict.fake else 'real'}  P(fake) = {verdict.score:.3f}  "
            f"({first:.1f} s to {last:.1f} s in {len(verdict.tracks)} tracks, {len(verdict.frame_index)} of {frames} "
            f"frames looked at, {len(verdict.clip_scores)} clips)"
        )
    picture = draw_timeline(out / "timeline.png", arguments.video, verdicts)
    shown = f" (the first {TIMELINE_PEOPLE} people)" if len(verdicts) > TIMELINE_PEOPLE else ""
    print(f"written: {document}, {picture}{shown}")


def _models(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.models import table
        from fakedetect_jax.models.catalogue import CATALOGUE

    print(f"{'model':32} {'parameters':>13} {'GFLOPs':>9}  {'of frames x pixels':18}  source")
    for name in CATALOGUE:
        (row,) = table([name])  # one at a time: counting the largest takes a while
        clip = f"{row.input[1]} x {row.input[2]}"
        print(f"{name:32} {row.parameters:13,d} {row.flops / 1e9:9.2f}  {clip:18}  {row.source}", flush=True)


def _import_weights(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.weights.command import import_weights

    import_weights(arguments)


if __name__ == "__main__":
    main()
