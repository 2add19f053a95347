"""The demo and the tests, on nothing but Python 3.11 or newer.

python3 run.py demo    data, training, detector, report and a scored video, in about ten minutes on two cores
python3 run.py test    all tests

Both make an environment in .venv (or in $FAKEDETECT_VENV), and both are quick to repeat, because they keep what is
there already. Every command is printed before it runs, as you can type it yourself.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = Path(os.environ.get("FAKEDETECT_VENV", ROOT / ".venv"))
SCRIPTS = VENV / ("Scripts" if os.name == "nt" else "bin")
WORKDIR = "runs/demo"
# A clip of the test split, unchanged and with another face.
CLIPS = {"predict_real": "test_s5b_0", "predict_fake": "test_s5b_0__poisson_swap"}


def main() -> None:
    """Make the environment that the task needs, and run the task."""
    if sys.version_info < (3, 11):
        sys.exit(f"run.py: Python {sys.version.split()[0]} is too old; use 3.11 or newer")
    task = sys.argv[1] if len(sys.argv) > 1 else ""
    if task == "demo":
        make_environment(extra="")
        demo()
    elif task == "test":
        make_environment(extra="[test]")
        call(
            [
                "python",
                "-m",
                "pytest",
                "--numprocesses",
                "2",
                "--dist",
                "loadfile",
                "--no-loadscope-reorder",
                *sys.argv[2:],
            ]
        )
    else:
        sys.exit(__doc__)


def make_environment(*, extra: str) -> None:
    """Install the package with `extra` in VENV, unless exactly that was done before."""
    wanted = hashlib.sha256(((ROOT / "setup.py").read_text() + sys.version + str(ROOT)).encode()).hexdigest()
    for known in {extra, "[test]"}:  # the environment for tests includes the plain one
        stamp = VENV / f"installed{known}.txt"
        if stamp.exists() and stamp.read_text() == wanted:
            return
    print(f"Making the environment in {VENV} (a few minutes, once)", flush=True)
    if not (SCRIPTS / "pip").exists() and not (SCRIPTS / "pip.exe").exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    call(["python", "-m", "pip", "install", "--editable", f".{extra}"])
    (VENV / f"installed{extra}.txt").write_text(wanted)


def call(command: list[str]) -> None:
    """Print a command and run it in the environment; exit if it fails."""
    print(f"\n$ {shlex.join(command)}", flush=True)
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    program = str(SCRIPTS / command[0])
    done = subprocess.run([program, *command[1:]], cwd=ROOT, env=os.environ | {"PATH": path})
    if done.returncode:
        sys.exit(done.returncode)


def demo() -> None:
    """Walk the whole path once, with the commands of a real experiment."""
    begun = time.monotonic()
    call(["fakedetect", "build", "mini_forensics", "--out", "data"])
    for mode in ("train", "export", "evaluate"):
        call(["fakedetect", mode, "--config", "demo", "--workdir", WORKDIR])
    for name, clip in CLIPS.items():
        call(
            [
                "python",
                "-m",
                "fakedetect_jax.data_builders.mini_forensics.render",
                clip,
                "--out",
                f"{WORKDIR}/{name}",
            ]
        )
        (video,) = (ROOT / WORKDIR / name).glob("*.avi")
        out = f"{WORKDIR}/{name}"
        call(
            [
                "fakedetect",
                "predict",
                f"{out}/{video.name}",
                "--detector",
                f"{WORKDIR}/detector",
                "--out",
                out,
            ]
        )
    print(closing_words(time.monotonic() - begun))


def closing_words(seconds: float) -> str:
    """Return what was made, how good it is, and what to do next."""
    summary = json.loads((ROOT / WORKDIR / "evaluation" / "metrics.json").read_text())
    levels = next(iter(summary["datasets"].values()))
    auc = levels["video"]["mean_over_methods"]["metrics"]["auc"]
    scripts = SCRIPTS.relative_to(ROOT) if SCRIPTS.is_relative_to(ROOT) else SCRIPTS
    known = auc["low"] is not None  # a perfect ranking has no interval
    interval = f"95 % interval {auc['low']:.3f} to {auc['high']:.3f}" if known else "no interval"
    figure = f"{auc['value']:.3f} ({interval})"
    verdicts = {name: json.loads((ROOT / WORKDIR / name / "verdict.json").read_text()) for name in CLIPS}
    scores = {name: verdict["people"][0]["score"] for name, verdict in verdicts.items()}
    return f"""
Done in {seconds / 60:.1f} minutes. A detector was trained on real clips only, with self-blended fakes, and tested on
people and forgery methods that it had never seen. Video AUC, the mean over {len(levels["video"]["methods"])} methods:
{figure}; 0.5 is chance, and docs/demo.md says what to expect of so small a run.

  {WORKDIR}/evaluation/report.html     the report: figures, curves, and the clips it was surest of
  {WORKDIR}/detector/                  the detector: weights, model card, a program for CPU, CUDA and TPU
  {WORKDIR}/predict_fake/timeline.png  a swapped face over time, P(fake) = {scores["predict_fake"]:.2f}
  {WORKDIR}/predict_real/timeline.png  the same person unchanged, P(fake) = {scores["predict_real"]:.2f}

Next: score a video of your own with
  {scripts}/fakedetect predict VIDEO --detector {WORKDIR}/detector
or read configs/sbi_convnext_tiny.py, the recipe for FaceForensics++."""


if __name__ == "__main__":
    main()
