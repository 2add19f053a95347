"""Checks of options: what is refused, and that the message names owner, option, value and remedy."""

import flax.linen as nn
import pytest
from flax.core import FrozenDict

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models import options


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (
            lambda **o: options.check_known("net", ("a", "b"), **o),
            "c",
            "net size='c' is not known; use one of a, b",
        ),
        (lambda **o: options.check_dtype("net", **o), "float16", "use one of float32, bfloat16"),
        (
            lambda **o: options.check_positive("net", **o),
            0,
            "net size=0 must be a whole number of at least 1",
        ),
        (lambda **o: options.check_positive("net", **o), True, "size=True must be a whole number"),
        (lambda **o: options.check_positive("net", **o), 1.5, "size=1.5 must be a whole number"),
        (
            lambda **o: options.check_layers("net", **o),
            0,
            "net size=0 must be whole numbers of layers from 1 to",
        ),
        (
            lambda **o: options.check_layers("net", **o),
            10**9,
            "must be whole numbers of layers from 1 to 1000",
        ),
        (lambda **o: options.check_layers("net", **o), (3, 10**9), "must be whole numbers of layers"),
        (lambda **o: options.check_layers("net", **o), (3, -1), "must be whole numbers of layers"),
        (lambda **o: options.check_layers("net", **o), "33", "must be whole numbers of layers"),
        (lambda **o: options.check_rate("net", **o), 1.0, r"net size=1.0 must be in \[0, 1\)"),
        (lambda **o: options.check_rate("net", **o), -0.1, r"net size=-0.1 must be in \[0, 1\)"),
        (lambda **o: options.check_widths("net", 2, **o), (4,), r"net size=\(4,\) must be 2 whole numbers"),
        (
            lambda **o: options.check_widths("net", 2, **o),
            (4, 0),
            r"net size=\(4, 0\) must be 2 whole numbers",
        ),
    ],
)
def test_wrong_values_are_refused(check, wrong, message):
    right = {"c": "b", "float16": "bfloat16", 1.0: 0.0, -0.1: 0.99, (4,): (1, 2), (4, 0): [3, 4]}
    check(size=right.get(wrong, 8) if wrong is not True else 8)
    with pytest.raises(FakedetectError, match=message):
        check(size=wrong)


def test_every_option_is_checked():
    with pytest.raises(FakedetectError, match="depth=0"):
        options.check_positive("net", width=1, depth=0)


def test_names_are_those_of_the_module_alone():
    assert options.option_names(nn.Dropout)[:2] == ["rate", "broadcast_dims"]
    assert not {"parent", "name"} & set(options.option_names(nn.Dropout))
    with pytest.raises(FakedetectError, match="drop has no option speed; known: rate, broadcast_dims"):
        options.check_names("drop", nn.Dropout, {"rate": 1, "speed": 2})


def test_options_become_hashable():
    given = {"widths": [1, [2, 3]], "part": {"names": ["a"]}}
    made = options.hashable(given)
    assert made == FrozenDict({"widths": (1, (2, 3)), "part": FrozenDict({"names": ("a",)})})
    hash(made)
