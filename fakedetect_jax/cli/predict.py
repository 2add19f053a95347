"""`fakedetect predict`: a verdict on every person of a video."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fakedetect_jax.cli.program import NAME, importing, path

if TYPE_CHECKING:
    from fakedetect_jax.deployment.inference import PersonVerdict


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser("predict", help="score the faces of a video")
    parser.add_argument("video", type=path, help="a video file, an image, or a folder of frames")
    parser.add_argument(
        "--detector", type=path, required=True, metavar="DIR", help="a detector of `fakedetect export`"
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="folder of the verdict and the timeline (default: the video's name + .fakedetect)",
    )
    parser.add_argument("--face-crops", action="store_true", help="the pictures are face crops already")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.deployment.inference import load_detector
        from fakedetect_jax.deployment.timeline import (
            TIMELINE_PEOPLE,
            VERDICT,
            check_free,
            draw_timeline,
            write_json,
        )
        from fakedetect_jax.files import to_path
        from fakedetect_jax.parallel import keep_compiled_programs

    out = to_path(arguments.out or f"{Path(arguments.video).stem}.fakedetect")
    keep_compiled_programs()
    check_free(out, arguments.video)
    verdicts = load_detector(arguments.detector).predict(arguments.video, face_crops=arguments.face_crops)
    document = write_json(out / VERDICT, arguments.video, arguments.detector, verdicts)
    if not verdicts:
        print(f"{arguments.video}: no face found; nothing was scored ({document})")
        return
    for verdict in verdicts:
        print(_describe(verdict))
    picture = draw_timeline(out / "timeline.png", arguments.video, verdicts)
    shown = f" (the first {TIMELINE_PEOPLE} people)" if len(verdicts) > TIMELINE_PEOPLE else ""
    print(f"written: {document}, {picture}{shown}")


def _describe(verdict: PersonVerdict) -> str:
    first, last = verdict.tracks[0].timestamp[0], verdict.tracks[-1].timestamp[-1]
    frames = sum(len(track) for track in verdict.tracks)
    return (
        f"person {verdict.person}: {'FAKE' if verdict.fake else 'real'}  P(fake) = {verdict.score:.3f}  "
        f"({first:.1f} s to {last:.1f} s in {len(verdict.tracks)} tracks, {len(verdict.frame_index)} of {frames} "
        f"frames looked at, {len(verdict.clip_scores)} clips)"
    )
