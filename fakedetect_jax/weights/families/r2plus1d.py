"""R(2+1)D: torchvision's r2plus1d_18."""

from __future__ import annotations

from fakedetect_jax.weights.naming import Family, Paths, Table, blocks, conv_norm


def torchvision(paths: Paths) -> Table:
    """Map torchvision's r2plus1d_18, which numbers convolutions, norms and ReLUs in one sequence."""
    table = conv_norm("stem_space", "stem.0", "stem.1") | conv_norm("stem_time", "stem.3", "stem.4")
    for stage, index in blocks(paths):
        ours, theirs = f"stage{stage}_block{index}", f"layer{stage + 1}.{index}"
        for number in (0, 1):
            conv = f"{theirs}.conv{number + 1}"
            table |= conv_norm(f"{ours}/conv{number}/space", f"{conv}.0.0", f"{conv}.0.1")
            table |= conv_norm(f"{ours}/conv{number}/time", f"{conv}.0.3", f"{conv}.1")
        table |= conv_norm(f"{ours}/shortcut", f"{theirs}.downsample.0", f"{theirs}.downsample.1")
    return table


TORCHVISION = Family(torchvision, dropped=r"fc\..*")
