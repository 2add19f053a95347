"""Time PyTorch's train step of ConvNeXt-Tiny on this machine's GPU: `python -m benchmarks.torch_gpu`.

It is the counterpart of the row `step` of `benchmarks/gpu.py`, with timm's network (drop path 0.1, one logit) in
channels_last, autocast to bfloat16 and fused AdamW, on 256 ready images of 224 pixels. Rows:

    eager       as PyTorch runs it
    compiled    with torch.compile
    complete    compiled too, and with what our step has besides: clipping of the global norm, and averaged weights
"""

import argparse
import dataclasses
import datetime
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
import torch

ROWS = ("eager", "compiled", "complete")
CLIP_NORM, EMA_DECAY = 1.0, 0.9998


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Images of a step, their side, the network, and rounds of the measurement."""

    images: int = 256
    size: int = 224
    network: str = "convnext_tiny"
    rounds: int = 5


SMALL = Sizes(images=4, size=32, network="convnext_atto", rounds=2)


def make_step(row: str, sizes: Sizes, device: torch.device) -> Callable[[], torch.Tensor]:
    """Return a train step on one batch, which returns its loss."""
    net = timm.create_model(sizes.network, num_classes=1, drop_path_rate=0.1).to(device)
    net = net.to(memory_format=torch.channels_last).train()
    params = list(net.parameters())
    averages = [param.detach().clone() for param in params]
    optimizer = torch.optim.AdamW(params, lr=4e-4, weight_decay=0.05, fused=True)
    frames = torch.randint(0, 256, (sizes.images, 3, sizes.size, sizes.size), dtype=torch.uint8)
    frames = frames.to(device, memory_format=torch.channels_last)
    labels = (torch.arange(sizes.images, device=device) % 2).float()
    mean, deviation = (
        torch.tensor(values, device=device)[:, None, None]
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    def loss_of(frames: torch.Tensor) -> torch.Tensor:
        images = (frames.float() / 255.0 - mean) / deviation
        with torch.autocast(device.type, torch.bfloat16):
            logits = net(images)[:, 0]
        return torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), labels)

    forward = loss_of if row == "eager" else torch.compile(loss_of)

    def step() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = forward(frames)
        loss.backward()
        if row == "complete":
            torch.nn.utils.clip_grad_norm_(params, CLIP_NORM, foreach=True)
        optimizer.step()
        if row == "complete":
            with torch.no_grad():
                torch._foreach_lerp_(averages, params, 1.0 - EMA_DECAY)
        return loss.detach()

    return step


def run_row(row: str, sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """Time a row, and return its figures."""
    on_gpu = device.type == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    step = make_step(row, sizes, device)

    def run(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            loss = step()
        wait()
        assert torch.isfinite(loss)
        return time.perf_counter() - start

    first = run(1)
    # cuDNN and the compiler may choose again in the second and third call.
    run(2)
    calls = max(1, min(50, round(0.5 / run(1))))
    seconds = statistics.median(run(calls) / calls for _ in range(sizes.rounds))
    return {
        "row": row,
        "card": torch.cuda.get_device_name() if on_gpu else "cpu",
        "torch": torch.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "first_call_s": round(first, 1),
        "ms": round(1e3 * seconds, 3),
        "images_per_s": round(sizes.images / seconds, 1),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if on_gpu else None,
    }


def main() -> None:
    """Print a line of JSON for each row, and add it to `--out`/torch_gpu.jsonl."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--out", type=Path, help="folder for torch_gpu.jsonl")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try this script on a CPU")
    options = parser.parse_args()
    rows = options.rows.split(",")
    if unknown := [row for row in rows if row not in ROWS]:
        parser.error(f"no row {unknown[0]!r}; known: {', '.join(ROWS)}")
    torch.backends.cudnn.benchmark = True
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for row in rows:
        line = json.dumps(run_row(row, SMALL if options.small else Sizes(), device))
        print(line, flush=True)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            with open(options.out / "torch_gpu.jsonl", "a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()
