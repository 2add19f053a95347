"""Models by name and their table."""

import pytest

from fakedetect_jax import models


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match="'resnet' is not known; use one of detector, frequency, convnext_atto"
    ):
        models.create("resnet")


def test_options_are_laid_over_those_of_the_name():
    model = models.create("convnext_nano", spatial={"drop_path": 0.2}, dropout=0.1)
    assert dict(model.spatial) == {"variant": "nano", "drop_path": 0.2}
    assert model.dropout == 0.1


def test_table_counts_parameters_and_operations():
    rows = {row.name: row for row in models.table(frames=2, size=64)}
    # 28,589,128 with 1000 classes, whose head has 768 x 1000 + 1000; ours has 768 + 1.
    assert rows["convnext_tiny"].parameters == 28_589_128 - 769_000 + 769
    # The published 4.5 G multiply-adds at 224 px, for two frames of 64 px; norms and GELU come on top.
    macs = 4.46e9 * 2 * (64 / 224) ** 2
    assert 2 * macs < rows["convnext_tiny"].flops < 2 * macs * 1.1
    assert rows["detector"].parameters > rows["convnext_tiny"].parameters + rows["frequency"].parameters
    assert all(row.input == (1, 2, 64, 64, 3) and row.source for row in rows.values())
