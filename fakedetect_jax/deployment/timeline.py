"""The verdicts on a video as JSON and as a picture."""

from __future__ import annotations

import io
import json
import os
import textwrap
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fakedetect_jax import files
from fakedetect_jax.deployment.verdict import NOT_JUDGED, PersonVerdict, VideoVerdict
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.metrics import THRESHOLD
from fakedetect_jax.files import AnyPath

# Distinguishable with any kind of colour vision.
_REAL, _FAKE, _LINE = "#0072b2", "#d55e00", "#444444"
_COLOURS = {"real": _REAL, "fake": _FAKE, NOT_JUDGED: _LINE}
_FACES = 8
# Letters of the title's font that fit into a line, and lines of a title.
_LETTERS, _NAME_LINES = 90, 3
_LINE_HEIGHT = 0.22  # inches
VERDICT, TIMELINE = "verdict.json", "timeline.png"
TIMELINE_PEOPLE = 20


def check_free(folder: AnyPath, video: str) -> None:
    """Check that results can be written into `folder`, and that it has no verdict on another video.

    Files of the same name in two folders are two videos.

    Raises:
        FakedetectError: names what is in the way.
    """
    if isinstance(folder, Path):
        _check_writable(folder)
    document = folder / VERDICT
    try:
        other = _whole_name(json.loads(document.read_bytes())["video"])
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        raise FakedetectError(
            f"{document} is there and cannot be read as a verdict; remove it, or give another folder as --out"
        ) from None
    if other != _whole_name(video):
        raise FakedetectError(
            f"{document} is of another video, {other}; give another folder as --out, or remove it"
        )


def _check_writable(folder: Path) -> None:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise FakedetectError(f"{there} is a file, and no folder for results; give another folder as --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise FakedetectError(f"{there}: nothing may be written there; give another folder as --out")
    for name in (VERDICT, TIMELINE):
        if (folder / name).is_dir():
            raise FakedetectError(f"{folder / name} is a folder; remove it, or give another folder as --out")


def write_json(path: AnyPath, video: str, detector: str, verdicts: VideoVerdict) -> AnyPath:
    """Write the verdicts with all that is needed to draw them on the video again; make the folder.

    Raises:
        FakedetectError: a score is not a number between 0 and 1; names the person.
    """
    for verdict in verdicts:
        scores = np.array([*verdict.clip_scores, *verdict.frame_scores])
        scores = scores if verdict.score is None else np.append(scores, verdict.score)
        if wrong := scores[~((scores >= 0) & (scores <= 1))].tolist():
            raise FakedetectError(
                f"{video}: the detector {detector} gives person {verdict.person} a P(fake) of {wrong[-1]}; its "
                "weights or its detector.json are damaged: export it again"
            )
    document = {
        "video": _whole_name(video),
        "detector": detector,
        "looked_at": {
            "every": verdicts.frames.every,
            "count": verdicts.frames.count,
            "run_length": verdicts.frames.run,
            "max_seconds": verdicts.max_seconds,
        },
        "decoded": verdicts.decoded,
        "damage": verdicts.damage,
        "aggregation": "a person's score is the mean P(fake) of the clips of all of its tracks that can be judged",
        "threshold": THRESHOLD,
        "people": [_describe(verdict) for verdict in verdicts],
    }
    return files.write_text(path, json.dumps(document, indent=1, allow_nan=False))


def draw_timeline(path: AnyPath, video: str, verdicts: VideoVerdict) -> AnyPath:
    """Draw P(fake) of the frames over time as PNG, with a panel and a row of faces for each person.

    Only the first `TIMELINE_PEOPLE` are drawn: a picture of hundreds takes minutes and cannot be read.
    """
    drawn = verdicts[:TIMELINE_PEOPLE]
    title = title_lines(video, verdicts, shown=len(drawn))
    top = 0.45 + _LINE_HEIGHT * len(title)
    height = 3.6 * len(drawn) + 0.25 + top
    figure = Figure(figsize=(10, height))
    FigureCanvasAgg(figure)
    # Set by hand, in inches: matplotlib's layout solver takes longer than the drawing.
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.5 / height, top=1 - top / height, hspace=0.45)
    figure.suptitle("\n".join(title), y=1 - 0.1 / height, va="top", parse_math=False)
    panels = figure.subplots(2 * len(drawn), 1, squeeze=False, height_ratios=[1, 2] * len(drawn))[:, 0]
    for number, verdict in enumerate(drawn):
        _draw_faces(panels[2 * number], verdict)
        _draw_scores(panels[2 * number + 1], verdict)
    picture = io.BytesIO()
    with warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(picture, format="png", dpi=110)
    return files.write_bytes(path, picture.getvalue())


def title_lines(video: str, verdicts: VideoVerdict, *, shown: int) -> list[str]:
    """Return the lines of the title: the name as it is, and what of the video or of its people is missing."""
    lines = _lines_of(printable(Path(video).name))
    for omission in verdicts.omissions:
        lines += _lines_of(omission)
    if shown < len(verdicts):
        lines.append(f"the first {shown} of {len(verdicts)} people")
    return lines


def printable(name: str) -> str:
    """Return a file name as one line of text: bytes that are not UTF-8, line ends and the like as escapes."""
    text = os.fsencode(name).decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _lines_of(name: str) -> list[str]:
    """Break a long name, which may have no spaces, into a few lines; letters of East Asia are twice as wide."""
    lines, room = [""], 0
    for letter in name:
        width = 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if room + width > _LETTERS:
            lines.append("")
            room = 0
        lines[-1] += letter
        room += width
    if len(lines) > _NAME_LINES:
        lines[_NAME_LINES - 1 :] = [f"{lines[_NAME_LINES - 1][:-1]}\N{HORIZONTAL ELLIPSIS}"]
    return lines


def _whole_name(video: str) -> str:
    return os.path.abspath(video)


def _draw_faces(axes: Axes, verdict: PersonVerdict) -> None:
    places = [(track, place) for track in verdict.tracks for place in range(len(track))]
    chosen = np.unique(np.linspace(0, len(places) - 1, _FACES).round().astype(int))
    faces = [simplejpeg.decode_jpeg(track.frames[place]) for track, place in (places[at] for at in chosen)]
    axes.imshow(np.concatenate(faces, axis=1), interpolation="antialiased")
    axes.set_axis_off()
    words = NOT_JUDGED if verdict.score is None else in_words(verdict)
    axes.set_title(f"person {verdict.person}: {words}", color=_COLOURS[verdict.word], loc="left")


def in_words(verdict: PersonVerdict) -> str:
    """Say what the verdict on a person is."""
    if verdict.score is None:
        return f"{NOT_JUDGED} by this detector, because {verdict.reason}"
    return f"{'FAKE' if verdict.fake else 'real'}  P(fake) = {verdict.score:.3f}"


def _draw_scores(axes: Axes, verdict: PersonVerdict) -> None:
    if verdict.score is None:
        axes.set_axis_off()
        why = textwrap.fill(in_words(verdict), _LETTERS)
        axes.text(0, 0.95, why, transform=axes.transAxes, va="top", parse_math=False)
        return
    seconds, scores = np.array(verdict.timestamp), np.array(verdict.frame_scores)
    axes.axhline(THRESHOLD, color=_LINE, linewidth=0.8, linestyle="--")
    axes.fill_between(
        seconds, THRESHOLD, scores, where=scores >= THRESHOLD, color=_FAKE, alpha=0.25, interpolate=True
    )
    axes.fill_between(
        seconds, THRESHOLD, scores, where=scores <= THRESHOLD, color=_REAL, alpha=0.25, interpolate=True
    )
    axes.plot(seconds, scores, color=_LINE, marker="o", markersize=3, linewidth=1)
    axes.set(ylim=(0, 1), ylabel="P(fake) of the frame", xlabel="seconds")
    axes.spines[["top", "right"]].set_visible(False)


def _describe(verdict: PersonVerdict) -> dict[str, Any]:
    return {
        "person": verdict.person,
        "score": verdict.score,
        "verdict": verdict.word,
        "reason": verdict.reason,
        "clip_scores": verdict.clip_scores,
        "frames": [
            {"frame": frame, "seconds": seconds, "score": score, "box": box}
            for frame, seconds, score, box in zip(
                verdict.frame_index, verdict.timestamp, verdict.frame_scores, verdict.box, strict=True
            )
        ],
    }
