"""The README of an exported detector."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from fakedetect_jax.data.clips import ClipSpec

_CARD = """# Face-forgery detector `{name}`

Tells how likely it is that the face in a video was manipulated: P(fake) for a clip and for each frame.

## Use

    fakedetect predict VIDEO --detector THIS_FOLDER

or from Python:

    from fakedetect_jax.deployment.inference import load_detector
    detector = load_detector("THIS_FOLDER")
    for person in detector.predict("VIDEO"):
        print(person.person, person.score)

`forward.stablehlo` is the same function for programs without this package's model code: deserialise it with
`jax.export.deserialize`, call it with the dictionary of `weights.safetensors` and with face crops
(uint8 [b, {frames}, {crop}, {crop}, 3], landmarks float32 [b, {frames}, 81, 2] in crop pixels,
timestamps float32 [b, {frames}] in seconds, valid bool [b, {frames}]).
It gives the logits of P(fake), of the clips [b] and of their frames [b, {frames}], and holds the model's own crop and
normalisation, for CPU, CUDA and TPU and any number of clips b.

## What it is

| | |
|---|---|
| Model | `{model}`, {parameters:,} parameters |
| Trained on | {trained_on} |
| Fakes in training | {fakes} |
| Chosen | {chosen} |
| Validation (clip level) | {validation} |
| Input | {frames} frames a clip, {stride:g} s apart, {size} x {size} pixels around the face |
| Clips of a video | one for every {interval:g} s of each of a person's tracks |
| Face crops | {crop} x {crop} pixels, margin {margin:g}{crops_note} |
| Code | fakedetect_jax {version}, jax {jax} |

Model options:

    {options}

## What it is not

The score is evidence, not proof. It says nothing of sound, of text, of faces smaller than about 60 pixels, or of
manipulations outside the face. On methods, codecs and people unlike those it was measured on, expect it to be
worse than its report says. Do not use it alone to accuse anyone.
"""

_FAKES = {
    "self_blend": "self-blended images, made on the fly from the reals alone",
    "recorded": "as recorded in the training data",
}


def model_card(spec: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
    """Return the card in Markdown, from the content of detector.json and the weights by path."""
    config, clip = spec["trained"]["config"], ClipSpec.parse(spec["clip"])
    return _CARD.format(
        name=config["name"],
        model=spec["model"]["name"],
        parameters=sum(leaf.size for path, leaf in weights.items() if path.startswith("params/")),
        frames=clip.frames,
        stride=clip.stride,
        interval=clip.interval,
        size=clip.size,
        crop=clip.extraction.size,
        margin=clip.extraction.margin,
        version=spec["version"],
        jax=spec["trained"]["versions"]["jax"],
        options=json.dumps(spec["model"]["options"]),
        **(_trained_rows if is_trained(spec["trained"]) else _imported_rows)(spec["trained"], clip),
    )


def is_trained(trained: dict[str, Any]) -> bool:
    """Return whether a detector was trained by this package; `trained` is that part of its detector.json."""
    return trained["step"] > 0


def describe_training(trained: dict[str, Any]) -> str:
    """Say in words what a detector learned from; `trained` is that part of its detector.json."""
    if is_trained(trained):
        return describe_sources(trained["config"]["data"]["train"])
    model = trained["config"]["model"]
    names = f" (names of {model['init_source']})" if model["init_source"] else ""
    return (
        f"not trained here: weights imported from {model['init_from']}{names}. The videos and people that they learned"
        " from are not known, so none are left out of an evaluation"
    )


def _trained_rows(trained: dict[str, Any], clip: ClipSpec) -> dict[str, str]:
    config, validation = trained["config"], trained["validation"]
    fakes = _FAKES[config["validation"]["fakes"]]
    return {
        "trained_on": describe_training(trained),
        "fakes": _FAKES[config["input"]["fakes"]],
        "chosen": f"step {trained['step']}, by log loss on the validation split; the test split chose nothing",
        "validation": f"AUC {validation['auc']:.3f}, log loss {validation['log_loss']:.3f}, on {fakes}",
        "crops_note": f"; built with `{clip.extraction.flags}`" if clip.extraction.flags else "",
    }


def _imported_rows(trained: dict[str, Any], clip: ClipSpec) -> dict[str, str]:
    del clip
    return {
        "trained_on": describe_training(trained),
        "fakes": "not known",
        "chosen": "nothing was chosen here: the weights are as imported",
        "validation": "none",
        "crops_note": "; the defaults of `fakedetect build`, for the crops that the weights learned from are not known",
    }


def describe_sources(sources: dict[str, Any]) -> str:
    """Say in words which parts of which datasets `sources` names."""
    return "; ".join(
        f"{part['dataset']}, split {part['split']}, "
        + (
            f"method{'s' * (len(part['methods']) > 1)} {', '.join(part['methods'])}"
            if part["methods"]
            else "all methods"
        )
        for _, part in sorted(sources.items())
    )
