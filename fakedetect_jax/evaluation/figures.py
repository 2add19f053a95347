"""The report's figures as inline SVG whose colours follow the page (light, dark, print)."""

import io
import re
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fakedetect_jax.evaluation.metrics import THRESHOLD, RocCurve

# Lines differ in dash as well as colour, so that the figure also reads without colour.
DASHES = ("", "6 2", "2 2", "8 2 2 2", "4 1 1 1 1 1")
SERIES = 5

# Matplotlib has no CSS variables: stand-in colours are drawn and then replaced in the SVG's text.
_VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--real)",
    "#050505": "var(--fake)",
    **{f"#0606{index:02x}": f"var(--series-{index})" for index in range(SERIES)},
}
_COLOURS = {variable: stand_in for stand_in, variable in _VARIABLES.items()}
_BINS = 20


def roc(curves: Sequence[RocCurve], overall: RocCurve | None) -> str:
    """Draw ROC curves, one style per method in the given order, and the curve of all fakes in the ink colour."""
    figure = Figure(figsize=(4.2, 4.0), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=_COLOURS["var(--line)"], linewidth=1, dashes=(3, 3))
    for number, curve in enumerate(curves):
        colour = _COLOURS[f"var(--series-{number % SERIES})"]
        (line,) = axes.plot(
            curve.false_positive_rate, curve.true_positive_rate, color=colour, linewidth=2, clip_on=False
        )
        dash = DASHES[number % len(DASHES)]
        if dash:
            line.set_dashes([float(length) / 2 for length in dash.split()])
    if overall is not None:
        axes.plot(
            overall.false_positive_rate,
            overall.true_positive_rate,
            color=_COLOURS["var(--ink)"],
            linewidth=1.2,
            clip_on=False,
        )
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_xlabel("reals taken for fake (false positive rate)")
    axes.set_ylabel("fakes found (true positive rate)")
    _calm(axes)
    return _svg(figure, "roc")


def histogram(real: Float[np.ndarray, " n"], fake: Float[np.ndarray, " m"]) -> str:
    """Draw the distribution of P(fake): reals upwards, fakes downwards, each as a share of its class."""
    figure = Figure(figsize=(3.4, 2.3), layout="constrained")
    axes = figure.add_subplot()
    edges = np.linspace(0, 1, _BINS + 1)
    top = 0.0
    for scores, sign, name in ((real, 1, "real"), (fake, -1, "fake")):
        share = np.histogram(scores, edges)[0] / max(1, len(scores))
        top = max(top, float(share.max()))
        colour = _COLOURS[f"var(--{name})"]
        axes.bar(edges[:-1], sign * share, width=0.92 / _BINS, align="edge", color=colour)
    top = max(top, 0.05) * 1.12
    axes.axhline(0, color=_COLOURS["var(--muted)"], linewidth=0.8)
    axes.axvline(THRESHOLD, color=_COLOURS["var(--muted)"], linewidth=0.8, dashes=(3, 3))
    for name, height in (("real", 0.94), ("fake", 0.06)):
        middle = 0.985 if name == "real" else 0.015
        axes.text(
            middle,
            height,
            name,
            transform=axes.transAxes,
            color=_COLOURS[f"var(--{name})"],
            ha="right" if name == "real" else "left",
            va="center",
            fontweight="bold",
        )
    axes.set(xlim=(0, 1), ylim=(-top, top), xlabel="P(fake)", ylabel="share of class")
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):.0%}")
    axes.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    _calm(axes)
    return _svg(figure, "histogram")


def _calm(axes: Axes) -> None:
    axes.grid(color=_COLOURS["var(--line)"], linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=5, labelcolor=_COLOURS["var(--muted)"], labelsize=9)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=_COLOURS["var(--muted)"], fontsize=9)


def _svg(figure: Figure, salt: str) -> str:
    """Return the figure as an <svg> element for HTML, without size, metadata or ids that could clash."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(
            file,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    used = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([\w.-]+)"', lambda match: match[0] if match[1] in used else "", text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, variable)
    return text.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1).strip()
