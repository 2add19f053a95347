"""The options of a model on the command line."""

import re

import pytest

from fakedetect_jax import models
from fakedetect_jax.config import model_options
from fakedetect_jax.errors import ConfigError
from fakedetect_jax.models.catalogue import CATALOGUE


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("dropout=0.1", {"dropout": 0.1}),
        ("dropout=1", {"dropout": 1}),
        ("normalisation=half", {"normalisation": "half"}),
        ("spatial.variant=base", {"spatial": {"variant": "base"}}),
        ("motion.cell=4", {"motion": {"cell": 4, "filters": 3}}),
        ("motion.widths=(8, 16)", {"motion": {"cell": 8, "filters": 3, "widths": (8, 16)}}),
        ("motion={'cell': 2}", {"motion": {"cell": 2}}),
        ("motion=None", {"motion": None}),
        ("fusion=concat", {"fusion": "concat"}),
        ("methods=('swap', 'reenact')", {"methods": ("swap", "reenact")}),
    ],
)
def test_an_override_takes_the_type_that_the_model_wants(text, changed):
    others, texts = model_options.split(["launch.py", f"--config.model.options.{text}", "--mode", "train"])
    assert others == ["launch.py", "--mode", "train"]
    options = {"motion": {"cell": 8, "filters": 3}}
    assert model_options.override("detector", options, texts) == options | changed
    assert options == {"motion": {"cell": 8, "filters": 3}}


def test_the_kind_of_a_part_is_set_before_its_options_whatever_their_order():
    texts = {"spatial.variant": "50", "spatial.name": "resnet"}
    options = model_options.override("detector", {}, texts)
    assert options == {"spatial": {"variant": "50", "name": "resnet"}}
    models.create("detector", **options)


def test_the_kind_that_a_name_stands_for_is_known():
    assert model_options.override("resnet_50", {}, {"spatial.variant": "101"}) == {
        "spatial": {"variant": "101"}
    }


def test_a_value_may_be_an_argument_of_its_own():
    assert model_options.split(["-config.model.options.dropout", "0.2", "x"]) == (["x"], {"dropout": "0.2"})
    with pytest.raises(ConfigError, match="has no value"):
        model_options.split(["--config.model.options.dropout"])


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("drpout", "0.1", "config.model.options has no option 'drpout'; it has spatial, "),
        (
            "spatial.varian",
            "base",
            "config.model.options.spatial has no option 'varian'; it has name, variant",
        ),
        ("dropout", "much", "config.model.options.dropout='much'; it must be a number"),
        ("dropout", "nan", "config.model.options.dropout='nan'; it must be a number"),
        ("dropout", "True", "config.model.options.dropout='True'; it must be a number"),
        ("dropout", "1e999", "config.model.options.dropout='1e999'; it must be a number"),
        ("motion.cell", "2.5", "config.model.options.motion.cell='2.5'; it must be a whole number"),
        ("motion.widths", "8", "config.model.options.motion.widths='8'; it must be whole numbers, as"),
        ("spatial.variant.x", "1", "config.model.options.spatial.variant has no options of its own"),
        ("dtype", "bfloat16", "config.model.options.dtype cannot be set; config.train.dtype"),
        ("spatial.dtype", "bfloat16", "config.model.options.spatial.dtype cannot be set; config.train.dtype"),
        ("", "1", "config.model.options has no option ''"),
    ],
)
def test_an_override_that_does_not_fit_is_refused_with_what_there_is(path, text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        model_options.override("detector", {"spatial": {"variant": "tiny"}}, {path: text})


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_options_that_a_name_stands_for_are_of_the_types_that_are_checked(name):
    entry = CATALOGUE[name]
    model_options.check(name, {**entry.options, **entry.measured})


@pytest.mark.parametrize("kind", [["resnet"], {"a": 1}, 3])
def test_the_kind_of_a_part_is_a_text(kind):
    with pytest.raises(ConfigError, match=r"config\.model\.options\.spatial\.name=.*; it must be one of"):
        model_options.check("detector", {"spatial": {"name": kind}})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("detector", {"spatial": {"depths": (10**9, 1), "dims": (8, 16)}}),
        ("detector", {"spatial": {"name": "convnext_v2", "depths": (10**9, 1), "dims": (8, 16)}}),
        ("detector", {"spatial": {"name": "resnet", "depths": (3, 10**9)}}),
        ("detector", {"spatial": {"name": "xception", "middle_blocks": 10**9}}),
        *[
            ("detector", {"spatial": {"variant": "atto"}, "temporal": {"name": kind, "layers": 10**9}})
            for kind in ("transformer", "gru", "conv", "factorised")
        ],
        ("vivit_factorised_encoder", {"layers": 10**9}),
        ("vivit_factorised_encoder", {"temporal_layers": 10**9}),
        ("m2tr", {"layers": 10**9}),
        ("ftcn", {"depths": (10**9, 4, 6)}),
        ("resnext_lstm", {"variant": None, "depths": (10**9,)}),
    ],
)
def test_a_model_without_end_is_refused_before_it_is_built(name, options):
    with pytest.raises(ConfigError, match=r"(depths|layers|blocks)=.*1000"):
        model_options.check(name, options)
