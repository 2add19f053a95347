"""What a run says and writes down before its first step."""

from __future__ import annotations

import json

import jax
from jax.sharding import Mesh

from fakedetect_jax import files, parallel
from fakedetect_jax.config import Config
from fakedetect_jax.data.videos import Videos
from fakedetect_jax.files import AnyPath
from fakedetect_jax.training.state import TrainState

CONFIG, START = "config.json", "start.txt"


def announce_start(
    config: Config, workdir: AnyPath, *, mesh: Mesh, state: TrainState, train: Videos, validation: Videos
) -> None:
    """Say what is about to be trained, and on what; the first process alone does so.

    The same lines go to `workdir`/start.txt, and the whole config to `workdir`/config.json.
    """
    if jax.process_index() > 0:
        return
    said = describe_start(config, mesh=mesh, state=state, train=train, validation=validation)
    print(said, flush=True)
    files.write_text(workdir / START, said + "\n")
    files.write_text(workdir / CONFIG, json.dumps(config.to_dict(), indent=1, sort_keys=True) + "\n")


def describe_start(
    config: Config, *, mesh: Mesh, state: TrainState, train: Videos, validation: Videos
) -> str:
    """Return the devices, the model, the data and the steps of a run, one aligned line each."""
    batch_size, steps = config.train.batch_size, config.train.steps
    lines = {
        "devices": f"{parallel.describe_devices(mesh)}, {batch_size // mesh.size} clips each a step",
        "model": f"{config.model.name}, {_describe_parameters(config, state)}",
        "training": _describe_videos(train),
        "validation": _describe_videos(validation),
        # An epoch draws one clip of each video.
        "steps": f"{steps:,} of {batch_size} clips; {len(train) / batch_size:,.4g} make an epoch",
        "start": _describe_beginning(config, int(state.step)),
    }
    return "\n".join(f"{name:<12}{words}" for name, words in lines.items())


def _describe_parameters(config: Config, state: TrainState) -> str:
    frozen = config.model.options.get("frozen", ())
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(part)) for name, part in state.params.items()}
    total, trained = sum(sizes.values()), sum(size for name, size in sizes.items() if name not in frozen)
    words = f"{total / 1e6:,.2f} M parameters"
    return words if trained == total else f"{words}, {trained / 1e6:,.2f} M of them trained"


def _describe_videos(videos: Videos) -> str:
    count, tracks = len(videos), sum(len(video.tracks) for video in videos.videos)
    return f"{count:,} video{'s' * (count != 1)}, {tracks:,} face track{'s' * (tracks != 1)}"


def _describe_beginning(config: Config, step: int) -> str:
    if step:
        return f"resumes from step {step:,}"
    return f"step 0, {f'weights of {config.model.init_from}' if config.model.init_from else 'random weights'}"
