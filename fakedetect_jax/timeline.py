"""What a detector said of a video, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fakedetect_jax.inference import THRESHOLD, PersonVerdict

# Told apart by people of all kinds of colour vision.
_REAL, _FAKE, _LINE = "#0072b2", "#d55e00", "#444444"
_FACES = 8


def write_json(path: Path, video: str, detector: str, verdicts: Sequence[PersonVerdict]) -> Path:
    """Writes the verdicts with all that is needed to draw them on the video again."""
    document = {
        "video": video,
        "detector": detector,
        "aggregation": "a person's score is the mean P(fake) of the clips of all of its tracks",
        "threshold": THRESHOLD,
        "people": [_describe(verdict) for verdict in verdicts],
    }
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    return path


def draw_timeline(path: Path, video: str, verdicts: Sequence[PersonVerdict]) -> Path:
    """Draws P(fake) of the frames over time, a panel a person, under faces of it, as PNG."""
    figure = Figure(figsize=(10, 3.4 * len(verdicts) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(Path(video).name)
    panels = figure.subplots(2 * len(verdicts), 1, squeeze=False, height_ratios=[1, 2] * len(verdicts))[:, 0]
    for number, verdict in enumerate(verdicts):
        _draw_faces(panels[2 * number], verdict)
        _draw_scores(panels[2 * number + 1], verdict)
    figure.savefig(path, dpi=110)
    return path


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
