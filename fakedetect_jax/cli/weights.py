"""`fakedetect weights import`: a file of published weights to one of this project."""

from __future__ import annotations

import argparse

from fakedetect_jax.cli.program import NAME, importing, path


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the subcommand, its one action and that action's arguments."""
    weights = commands.add_parser("weights", help="import published weights into a model")
    parser = weights.add_subparsers(required=True, metavar="ACTION").add_parser(
        "import",
        help="convert a file of weights",
        description="Convert a file of published weights. No code in the file is run.",
    )
    parser.add_argument(
        "file", type=path, help="safetensors, .pth, .pt, .tar, .bin or .h5; or hf:OWNER/NAME[:FILE]"
    )
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="SOURCE",
        help="timm, torchvision, transformers, convnext, efficientnet-pytorch, sbi, m2tr or mesonet",
    )
    parser.add_argument(
        "--model",
        required=True,
        help="a model of `fakedetect models`, or a backbone alone: efficientnet, resnet, ...",
    )
    parser.add_argument("--options", default="{}", metavar="JSON", help="the model's options (default: none)")
    parser.add_argument("--out", type=path, required=True, metavar="FILE", help="safetensors file to write")
    parser.add_argument(
        "--allow-missing",
        action="extend",
        type=lambda text: text.split(","),
        default=[],
        metavar="MODULE[,MODULE]",
        help="modules that may keep their initial weights, such as head; may be given several times",
    )
    parser.add_argument(
        "--into", metavar="MODULE", help="the module to fill, where the model has several, such as spatial"
    )
    parser.add_argument(
        "--prefix",
        help="what stands before the names of the weights in the file, such as model_ema or module.teacher "
        "(default: found by the names)",
    )
    parser.add_argument(
        "--channels",
        type=int,
        default=3,
        help="input channels of a backbone alone, to which its first convolution is adapted (default: 3)",
    )
    parser.add_argument(
        "--size", type=int, help="side of the frames in pixels (default: the size in `fakedetect models`)"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    with importing(NAME):
        from fakedetect_jax.weights.command import import_weights

    import_weights(arguments)
