"""`fakedetect predict`: a verdict on every person of a video."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fakedetect_jax.cli.program import NAME, NOT_ALL_JUDGED, importing, path, trouble

if TYPE_CHECKING:
    from fakedetect_jax.deployment.verdict import PersonVerdict, VideoVerdict
    from fakedetect_jax.faces import FrameChoice
    from fakedetect_jax.files import AnyPath

_ENDING = ".fakedetect"
_LONGEST_NAME = 255  # bytes, of most file systems


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser("predict", help="score the faces of videos")
    parser.add_argument(
        "videos",
        type=path,
        nargs="+",
        metavar="VIDEO",
        help="a video file, an image, or a folder of frames; one that fails does not stop the others",
    )
    parser.add_argument(
        "--detector", type=path, required=True, metavar="DIR", help="a detector of `fakedetect export`"
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="DIR",
        help="folder of the verdict and the timeline (default: the video's name + .fakedetect); of several videos, the"
        " folder that gets one for each (default: the present one)",
    )
    parser.add_argument("--face-crops", action="store_true", help="the pictures are face crops already")
    frames = parser.add_argument_group("frames to look at (default: as in the detector's training data)")
    frames.add_argument(
        "--every", type=int, metavar="K", help="every K-th frame; within runs, frames K apart"
    )
    frames.add_argument(
        "--count", type=int, metavar="N", help="N frames, or N runs, evenly spread over the video"
    )
    frames.add_argument("--run-length", type=int, metavar="L", help="runs of L frames, for models of motion")
    frames.add_argument("--max-seconds", type=_seconds, metavar="S", help="the first S seconds alone")
    parser.set_defaults(run=_run)


def result_folders(videos: Sequence[str], out: str | None) -> dict[str, str]:
    """Name the folder of each video's results; no two of them are the same.

    Of several videos, each has the whole name of its file, below the folders that the videos do not share.
    """
    whole = list(dict.fromkeys(map(os.path.abspath, videos)))
    if len(whole) == 1:
        return {videos[0]: out or _shortened(Path(whole[0]).stem)}
    shared = os.path.commonpath(map(os.path.dirname, whole))
    named = dict(zip(map(os.path.abspath, reversed(videos)), reversed(videos), strict=True))
    return {
        named[video]: os.path.join(
            out or "", os.path.dirname(os.path.relpath(video, shared)), _shortened(os.path.basename(video))
        )
        for video in whole
    }


def _run(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.deployment.inference import load_detector
        from fakedetect_jax.deployment.timeline import check_free
        from fakedetect_jax.files import to_path
        from fakedetect_jax.parallel import keep_compiled_programs

    frames = _frame_choice(arguments)
    folders = result_folders(arguments.videos, arguments.out)
    failed: list[str] = []
    free: dict[str, AnyPath] = {}
    for video, folder in folders.items():
        with _going_on(video, failed, alone=len(folders) == 1):
            check_free(to_path(folder), video)
            free[video] = to_path(folder)
    keep_compiled_programs()
    whole = 0
    if free:
        detector = load_detector(arguments.detector)
        for video, out in free.items():
            with _going_on(video, failed, alone=len(folders) == 1):
                verdicts = detector.predict(
                    video, face_crops=arguments.face_crops, frames=frames, max_seconds=arguments.max_seconds
                )
                _report(video, arguments.detector, verdicts, out)
                whole += verdicts.judged and not verdicts.damage
    if len(folders) > 1:
        partly = len(folders) - len(failed) - whole
        print(f"{len(folders)} videos: {whole} judged, {partly} not or in part, {len(failed)} failed")
    if failed:
        sys.exit(1)
    if whole < len(folders):
        sys.exit(NOT_ALL_JUDGED)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no length of time; give more than 0 seconds")
    return seconds


def _frame_choice(arguments: argparse.Namespace) -> FrameChoice | None:
    with importing(NAME):
        from fakedetect_jax.faces import FrameChoice

    flags = {"every": arguments.every, "count": arguments.count, "run": arguments.run_length}
    given = {name: value for name, value in flags.items() if value is not None}
    return FrameChoice(**given) if given else None


def _shortened(name: str) -> str:
    """Return the name with the ending of results; what is too long for a file system ends in a hash of it."""
    encoded = os.fsencode(name)
    if len(encoded) + len(_ENDING) <= _LONGEST_NAME:
        return name + _ENDING
    digest = hashlib.sha256(encoded).hexdigest()[:12]
    kept = encoded[: _LONGEST_NAME - len(_ENDING) - len(digest) - 1].decode(errors="ignore")
    return f"{kept}-{digest}{_ENDING}"


@contextlib.contextmanager
def _going_on(video: str, failed: list[str], *, alone: bool) -> Iterator[None]:
    """Tell of a mistake of the user's, note that the video failed, and go on; unless the video is `alone`."""
    try:
        yield
    except Exception as error:
        line = trouble(error)
        if alone or not line:
            raise
        print(f"{NAME}: {line}", file=sys.stderr, flush=True)
        failed.append(video)


def _report(video: str, detector: str, verdicts: VideoVerdict, out: AnyPath) -> None:
    from fakedetect_jax.deployment.timeline import (
        TIMELINE,
        TIMELINE_PEOPLE,
        VERDICT,
        draw_timeline,
        printable,
        write_json,
    )

    lines = [f"{printable(video)}:", *map(_describe, verdicts)]
    if not verdicts:
        where = "the part that could be decoded" if verdicts.damage else "it"
        lines.append(f"no face found in {where}; nothing was scored")
    lines += verdicts.omissions
    try:
        written = [str(write_json(out / VERDICT, video, detector, verdicts))]
    except OSError:
        # Without room on the disk, the screen is all that is left of the work.
        print("\n".join(lines), flush=True)
        raise
    print("\n".join(lines), flush=True)
    if verdicts:
        picture = draw_timeline(out / TIMELINE, video, verdicts)
        shown = f" (the first {TIMELINE_PEOPLE} people)" if len(verdicts) > TIMELINE_PEOPLE else ""
        written.append(f"{picture}{shown}")
    print(f"written: {', '.join(map(printable, written))}", flush=True)


def _describe(verdict: PersonVerdict) -> str:
    from fakedetect_jax.deployment.timeline import in_words

    first, last = verdict.tracks[0].timestamp[0], verdict.tracks[-1].timestamp[-1]
    frames = sum(len(track) for track in verdict.tracks)
    return (
        f"person {verdict.person}: {in_words(verdict)}  ({first:.1f} s to {last:.1f} s in {len(verdict.tracks)} tracks,"
        f" {len(verdict.frame_index)} of {frames} frames scored, {len(verdict.clip_scores)} clips)"
    )
