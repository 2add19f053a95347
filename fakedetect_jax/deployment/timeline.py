"""The verdicts on a video as JSON and as a picture."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fakedetect_jax import files
from fakedetect_jax.deployment.inference import PersonVerdict
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.metrics import THRESHOLD
from fakedetect_jax.files import AnyPath

# Distinguishable with any kind of colour vision.
_REAL, _FAKE, _LINE = "#0072b2", "#d55e00", "#444444"
_FACES = 8
VERDICT = "verdict.json"
TIMELINE_PEOPLE = 20


def check_free(folder: AnyPath, video: str) -> None:
    """Check that `folder` has no verdict on another video; files of the same name in two folders are two videos.

    Raises:
        FakedetectError: names the other video.
    """
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


def write_json(path: AnyPath, video: str, detector: str, verdicts: Sequence[PersonVerdict]) -> AnyPath:
    """Write the verdicts with all that is needed to draw them on the video again; make the folder.

    Raises:
        FakedetectError: a score is not a number between 0 and 1; names the person.
    """
    for verdict in verdicts:
        scores = np.array([verdict.score, *verdict.clip_scores, *verdict.frame_scores])
        if wrong := scores[~((scores >= 0) & (scores <= 1))].tolist():
            raise FakedetectError(
                f"{video}: the detector {detector} gives person {verdict.person} a P(fake) of {wrong[0]}; its weights "
                "or its detector.json are damaged: export it again"
            )
    document = {
        "video": _whole_name(video),
        "detector": detector,
        "aggregation": "a person's score is the mean P(fake) of the clips of all of its tracks",
        "threshold": THRESHOLD,
        "people": [_describe(verdict) for verdict in verdicts],
    }
    return files.write_text(path, json.dumps(document, indent=1, allow_nan=False))


def draw_timeline(path: AnyPath, video: str, verdicts: Sequence[PersonVerdict]) -> AnyPath:
    """Draw P(fake) of the frames over time as PNG, with a panel and a row of faces for each person.

    Only the first `TIMELINE_PEOPLE` are drawn: a picture of hundreds takes minutes and cannot be read.
    """
    drawn = verdicts[:TIMELINE_PEOPLE]
    height = 3.6 * len(drawn) + 0.9
    figure = Figure(figsize=(10, height))
    FigureCanvasAgg(figure)
    # Set by hand, in inches: matplotlib's layout solver takes longer than the drawing.
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.5 / height, top=1 - 0.65 / height, hspace=0.45)
    name = os.fsencode(Path(video).name).decode(errors="replace")
    shown = f", the first {len(drawn)} of {len(verdicts)} people" if len(drawn) < len(verdicts) else ""
    figure.suptitle(name + shown, y=1 - 0.1 / height, va="top", parse_math=False)
    panels = figure.subplots(2 * len(drawn), 1, squeeze=False, height_ratios=[1, 2] * len(drawn))[:, 0]
    for number, verdict in enumerate(drawn):
        _draw_faces(panels[2 * number], verdict)
        _draw_scores(panels[2 * number + 1], verdict)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    return files.write_bytes(path, picture.getvalue())


def _whole_name(video: str) -> str:
    return os.path.abspath(video)


def _draw_faces(axes: Axes, verdict: PersonVerdict) -> None:
    places = [(track, place) for track in verdict.tracks for place in range(len(track))]
    chosen = np.unique(np.linspace(0, len(places) - 1, _FACES).round().astype(int))
    faces = [simplejpeg.decode_jpeg(track.frames[place]) for track, place in (places[at] for at in chosen)]
    axes.imshow(np.concatenate(faces, axis=1), interpolation="antialiased")
    axes.set_axis_off()
    word, colour = ("FAKE", _FAKE) if verdict.fake else ("real", _REAL)
    axes.set_title(
        f"person {verdict.person}: {word}, P(fake) = {verdict.score:.2f}", color=colour, loc="left"
    )


def _draw_scores(axes: Axes, verdict: PersonVerdict) -> None:
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
        "verdict": "fake" if verdict.fake else "real",
        "clip_scores": verdict.clip_scores,
        "frames": [
            {"frame": frame, "seconds": seconds, "score": score, "box": box}
            for frame, seconds, score, box in zip(
                verdict.frame_index, verdict.timestamp, verdict.frame_scores, verdict.box, strict=True
            )
        ],
    }
