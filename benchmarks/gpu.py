"""Time training on this machine's accelerator: `python -m benchmarks.gpu --rows step,restart,profile_step`.

    step        a train step of ConvNeXt-Tiny on 256 ready images of 224 pixels, in bfloat16
    restart     the same in a fresh process that finds the compiled program on disk
    blend       self-blending alone, 128 pairs from 288 to 224 pixels
    step_blend  the train step on these pairs
    recipe      the train step of configs/sbi_convnext_tiny.py with 32 clips of 8 frames, 512 images
    profile_step, profile_step_blend, profile_recipe
                a table of that step's kernels, by the part of the model that they compute

Each row runs in a process of its own, and one that is not done within --limit seconds is given up. All processes share
a folder of compiled programs, --cache. With --compile_only they fill it: a host with many cores can compile several
rows at once, before they are timed one after another. Profiles are taken without CUDA graphs, whose kernels do not name
their operations. Times are medians of rounds on the wall's clock, with the device's queue full.
"""

import argparse
import dataclasses
import datetime
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The heavy imports come later, inside functions: they are part of a start.
START = time.perf_counter()
ROWS = (
    "step",
    "restart",
    "profile_step",
    "blend",
    "step_blend",
    "recipe",
    "profile_step_blend",
    "profile_recipe",
)
PROFILED_STEPS = 5
# Operations a second in bfloat16 by a part of the device's name, of dense matrices, by the vendors' data sheets.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Clips of a step on ready images (twice those that are blended), side of the model's input, and its variant."""

    images: int = 256
    size: int = 224
    stored: int = 288
    variant: str = "tiny"
    clips: int = 32
    frames: int = 8
    rounds: int = 5


SMALL = Sizes(images=4, size=32, stored=48, variant="atto", clips=2, frames=2, rounds=2)


@dataclasses.dataclass(frozen=True)
class Job:
    """A program to time.

    Attributes:
        function: the jitted function.
        arguments: what it is called with; of a train step the state, which it returns first, and the batch.
        images: images that the model sees in a call, or that self-blending returns.
        trains: whether it is a train step.
    """

    function: Any
    arguments: tuple[Any, ...]
    images: int
    trains: bool


def make_job(row: str, sizes: Sizes) -> Job:
    """Return the program of a row."""
    from fakedetect_jax import experiment
    from fakedetect_jax.configs import sbi_convnext_tiny

    config = sbi_convnext_tiny.get_config()
    config.clip.size = sizes.size
    pairs = sizes.images // 2
    if row == "recipe":
        config.clip.frames, pairs = sizes.frames, sizes.clips
        config.model.options.spatial.variant = sizes.variant
    else:
        config.clip.frames = 1
        spatial = {**config.model.options.spatial.to_dict(), "variant": sizes.variant}
        del config.model.options
        config.model.options = {"spatial": spatial}
    if row == "step":
        return train_job(config, ready_images, batch_of(sizes.images, 1, sizes.size), sizes.images)
    batch = batch_of(pairs, config.clip.frames, sizes.stored)
    make_inputs, images = experiment.make_inputs(config), 2 * pairs * config.clip.frames
    if row == "blend":
        return blend_job(make_inputs, batch, images)
    return train_job(config, make_inputs, batch, images)


def train_job(config: Any, make_inputs: Callable, batch: dict[str, Any], images: int) -> Job:
    """Return the train step of a config whose examples `make_inputs` makes of a batch."""
    import jax

    from fakedetect_jax import experiment, parallel
    from fakedetect_jax.training.state import create_state
    from fakedetect_jax.training.step import compile_step, make_train_step

    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    step = make_train_step(
        model,
        optimizer,
        experiment.make_schedule(config),
        make_inputs,
        seed=0,
        ema_decay=config.optimizer.ema_decay,
        frame_weight=config.train.frame_weight,
        mask_weight=0.0,
        method_weight=0.0,
        methods=(),
    )
    mesh = parallel.make_mesh(jax.devices()[:1])
    state = create_state(model, optimizer, seed=0, frames=config.clip.frames, size=config.clip.size)
    state = jax.device_put(state, parallel.replicated(mesh))
    batch = jax.device_put(batch, parallel.split_by_example(mesh))
    return Job(compile_step(step, mesh), (state, batch), images, trains=True)


def blend_job(make_inputs: Callable, batch: dict[str, Any], images: int) -> Job:
    """Return the program that only makes pairs."""
    import jax

    keys = jax.random.split(jax.random.key(0), len(batch["label"]))
    return Job(jax.jit(make_inputs), (keys, jax.device_put(batch)), images, trains=False)


def ready_images(keys: Any, batch: dict[str, Any]) -> dict[str, Any]:
    """Make examples of stored frames as they are."""
    from fakedetect_jax.training.inputs import to_unit

    del keys
    return {**batch, "frames": to_unit(batch["frames"]), "frame_label": batch["label"][:, None]}


def batch_of(clips: int, frames: int, size: int) -> dict[str, Any]:
    """Return a loaded batch of noise, with an ellipse of landmarks in every frame."""
    import numpy as np

    from fakedetect_jax.faces.landmarks import LANDMARKS

    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, LANDMARKS, endpoint=False)
    ellipse = size * (0.5 + np.stack([0.25 * np.cos(angle), 0.3 * np.sin(angle)], axis=-1))
    return {
        "frames": rng.integers(0, 256, (clips, frames, size, size, 3), np.uint8),
        "landmarks": np.broadcast_to(ellipse, (clips, frames, LANDMARKS, 2)).astype(np.float32),
        "timestamps": np.broadcast_to(0.16 * np.arange(frames), (clips, frames)).astype(np.float32),
        "valid": np.ones((clips, frames), bool),
        "label": np.arange(clips, dtype=np.int32) % 2,
        "weight": np.ones(clips, np.float32),
        "identity": np.arange(clips, dtype=np.int32),
        "method": np.zeros(clips, np.int32),
    }


def run_row(row: str, sizes: Sizes, out: Path | None, *, compile_only: bool) -> None:
    """Compile and time a row in this process, print a line, and add it to `out`/gpu.jsonl."""
    import jax

    from_disk = []
    jax.monitoring.register_event_listener(
        lambda name, **_: from_disk.append(name) if name.endswith("/cache_hits") else None
    )
    job = make_job({"restart": "step"}.get(row, row.removeprefix("profile_")), sizes)
    jax.block_until_ready(job.arguments)
    ready = time.perf_counter()
    lowered = job.function.lower(*job.arguments)
    traced = time.perf_counter()
    hits = len(from_disk)
    program = lowered.compile()
    compiled = time.perf_counter()
    memory, device = program.memory_analysis(), jax.devices()[0]
    flops = operations(lowered)
    figures: dict[str, Any] = {
        "row": row,
        "card": device.device_kind,
        "jax": jax.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "prepare_s": round(ready - START, 1),
        "trace_s": round(traced - ready, 1),
        "compile_s": round(compiled - traced, 1),
        "from_disk": len(from_disk) > hits,
        "temporary_gib": round(memory.temp_size_in_bytes / 2**30, 3),
        "arguments_gib": round(memory.argument_size_in_bytes / 2**30, 3),
        "tflop": flops and round(flops / 1e12, 3),
    }
    if not compile_only:
        run = runner(job, program)
        run(1)
        figures["first_call_s"] = round(time.perf_counter() - START, 1)
        milliseconds = measure(run, sizes.rounds)
        figures |= {"ms": round(milliseconds, 3), "images_per_s": round(1e3 * job.images / milliseconds, 1)}
        peak = next((peak for name, peak in PEAK.items() if name in device.device_kind), None)
        if flops and peak:
            figures["share_of_peak"] = round(flops / milliseconds * 1e3 / peak, 4)
    print(json.dumps(figures), flush=True)
    if out:
        with open(out / "gpu.jsonl", "a") as file:
            file.write(json.dumps(figures) + "\n")
    if row.startswith("profile_") and not compile_only:
        profile(row, run, program.as_text(), out)


def operations(lowered: Any) -> float | None:
    """Return the operations of a program before it is optimised; None if its platform does not count them."""
    import jax

    try:
        return (lowered.cost_analysis() or {}).get("flops")
    except jax.errors.JaxRuntimeError:
        return None


def runner(job: Job, program: Any) -> Callable[[int], None]:
    """Return a function that calls the program a number of times and waits for the last."""
    import jax

    arguments = job.arguments

    def run(calls: int) -> None:
        nonlocal arguments
        result = None
        for _ in range(calls):
            result = program(*arguments)
            if job.trains:
                arguments = (result[0], *arguments[1:])
        jax.block_until_ready(result)

    return run


def measure(run: Callable[[int], None], rounds: int) -> float:
    """Return the median milliseconds of a call, over rounds of about half a second."""
    start = time.perf_counter()
    run(1)
    calls = max(1, min(50, round(0.5 / (time.perf_counter() - start))))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run(calls)
        times.append((time.perf_counter() - start) / calls)
    return 1e3 * statistics.median(times)


def profile(row: str, run: Callable[[int], None], text: str, out: Path | None) -> None:
    """Print the table of a program's kernels; with `out`, leave it there with the trace and the program's text."""
    import jax

    from benchmarks import kernels

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run(PROFILED_STEPS)
        trace = kernels.newest_trace(Path(folder))
        found = kernels.read_trace(trace)
        if out:
            (out / f"{row}.xplane.pb.gz").write_bytes(gzip.compress(trace.read_bytes()))
    lines = kernels.describe(found, kernels.read_program(text), PROFILED_STEPS)
    print("\n".join(lines), flush=True)
    if out:
        (out / f"{row}.txt").write_text("\n".join(lines) + "\n")
        (out / f"{row}.hlo.txt.gz").write_bytes(gzip.compress(text.encode()))


def run_apart(row: str, options: argparse.Namespace, cache: str) -> None:
    """Run a row in a process of its own, within the limit."""
    flags = os.environ.get("XLA_FLAGS", "")
    if row.startswith("profile_"):
        flags += " --xla_gpu_enable_command_buffer="
    variables = {
        "XLA_FLAGS": flags,
        "JAX_COMPILATION_CACHE_DIR": cache,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    command = [sys.executable, "-m", "benchmarks.gpu", "--here", "--rows", row]
    command += ["--small"] * options.small + ["--compile_only"] * options.compile_only
    command += ["--out", str(options.out)] if options.out else []
    start = time.perf_counter()
    try:
        done = subprocess.run(command, env=os.environ | variables, timeout=options.limit)
    except subprocess.TimeoutExpired:
        print(f"{row}: not done after {options.limit} s", flush=True)
        return
    seconds = time.perf_counter() - start
    if done.returncode:
        print(f"{row}: failed after {seconds:.0f} s with status {done.returncode}", flush=True)


def main() -> None:
    """Run the rows that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default="step,restart,profile_step", help=f"some of {','.join(ROWS)}")
    parser.add_argument("--out", type=Path, help="folder for gpu.jsonl, tables and compiled programs")
    parser.add_argument("--cache", help="folder of compiled programs; a new one if not given")
    parser.add_argument("--limit", type=float, default=300, help="seconds of a row")
    parser.add_argument("--compile_only", action="store_true", help="compile into --cache, and time nothing")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try this script on a CPU")
    parser.add_argument("--here", action="store_true", help="run the rows in this process")
    options = parser.parse_args()
    rows = options.rows.split(",")
    if unknown := [row for row in rows if row not in ROWS]:
        parser.error(f"no row {unknown[0]!r}; known: {', '.join(ROWS)}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    if options.here:
        for row in rows:
            run_row(row, SMALL if options.small else Sizes(), options.out, compile_only=options.compile_only)
        return
    with tempfile.TemporaryDirectory() as fresh:
        for row in rows:
            run_apart(row, options, options.cache or fresh)


if __name__ == "__main__":
    main()
