"""Settings from one line each: their checks, their documentation, and classes made of several."""

import dataclasses
import math

import numpy as np
import pytest

from tinytx.models import MODELS, BertConfig, GPTConfig
from tinytx.settings import Settings, extended, setting


class Things(Settings):
    """What things are like."""

    n_things: int = setting(3, "how many; 100 % of them", minimum=1, maximum=9)
    rate: float = setting(0.5, "how fast", minimum=0)
    share: float = setting(0.5, "which share", above=0, below=1)
    path: str | None = setting(None, "where")
    width: int | None = setting(None, "how wide", minimum=1)
    loud: bool = setting(False, "how loud")
    kind: str = setting("a", "which", choices=("a", "b"))


def test_defaults_pass_and_whole_numbers_are_floats():
    """Catches a check that refuses None where the type allows it, and values that JSON could not keep."""
    Things()
    things = Things(rate=1, width=np.int64(2), share=np.float32(0.25), loud=np.True_)
    assert [type(value) for value in (things.rate, things.width, things.share, things.loud)] == [float, int, float, bool]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"n_things": 0}, ValueError, "n_things is 0, expected a whole number of at least 1 and at most 9"),
        ({"n_things": 10**30}, ValueError, "n_things is 10+, expected a whole number"),
        ({"width": 0}, ValueError, "width is 0, expected a whole number of at least 1"),
        ({"width": 2**31 + 1}, ValueError, "width is 2147483649, expected"),
        ({"rate": -0.1}, ValueError, "rate is -0.1, expected a finite number of at least 0"),
        ({"rate": math.nan}, ValueError, "rate is nan, expected a finite number"),
        ({"rate": math.inf}, ValueError, "rate is inf, expected a finite number"),
        ({"share": 0}, ValueError, r"share is 0, expected a number in \(0, 1\)"),
        ({"share": 1.0}, ValueError, r"share is 1.0, expected a number in \(0, 1\)"),
        ({"kind": "c"}, ValueError, "kind is 'c', expected one of a, b"),
        ({"kind": None}, TypeError, "kind is None, expected a str"),
        ({"n_things": "3"}, TypeError, "n_things is '3', expected a whole number"),
        ({"n_things": True}, TypeError, "n_things is True, expected a whole number"),
        ({"n_things": None}, TypeError, "n_things is None, expected a whole number"),
        ({"rate": "fast"}, TypeError, "rate is 'fast', expected a finite number"),
        ({"loud": 1}, TypeError, "loud is 1, expected True or False"),
        ({"path": ["x"]}, TypeError, r"path is \['x'\], expected a str"),
    ],
)
def test_values_out_of_bounds_or_of_another_type(values, error, message):
    with pytest.raises(error, match=f"^Things: {message}"):
        Things(**values)


def test_the_documentation_is_made_of_the_same_lines():
    """Catches a setting that help() does not show, and one that it shows with another default or range."""
    assert Things.__doc__.startswith("What things are like.\n\nParameters\n----------\nn_things : int, at least 1 (default: 3)\n")
    for line in (
        "    How many; 100 % of them.",
        "share : float in (0, 1) (default: 0.5)",
        "path : str, or None (default: None)",
        'kind : {"a", "b"} (default: a)',
    ):
        assert f"\n{line}\n" in Things.__doc__


@pytest.mark.parametrize("cls", [config for _, config in MODELS.values()])
def test_every_setting_of_a_config_says_what_it_means(cls):
    """Catches a field without help or bounds: nothing would check it, and no flag could be made of it."""
    for field in dataclasses.fields(cls):
        assert field.metadata["help"] and not field.metadata["help"].endswith("."), field.name
        assert field.type is bool or field.metadata.keys() & {"minimum", "above", "choices", "empty"} or "None" in str(field.type)
        assert f"\n{field.name} : " in cls.__doc__


class Run(Settings):
    steps: int = setting(100, "steps in all", minimum=1)
    width: int = setting(7, "of the run", minimum=1)

    def twice(self):
        return 2 * self.steps


def test_a_class_of_several():
    """Catches a default, a bound, a method or the order of names that gets lost."""
    both = extended(Run, Things, without=("path", "kind"), steps=5, rate=1.5)
    assert [field.name for field in dataclasses.fields(both)] == ["steps", "width", "n_things", "rate", "share", "loud"]
    made = both(n_things=4)
    assert (made.steps, made.width, made.n_things, made.rate, made.twice()) == (5, None, 4, 1.5, 10)
    with pytest.raises(ValueError, match="n_things is 10"):
        both(n_things=10)
    with pytest.raises(ValueError, match="steps is 0"):
        both(steps=0)
    assert both.__doc__.count("Parameters") == 1 and "steps : int, at least 1 (default: 5)" in both.__doc__
    assert (Run().steps, Things().rate) == (100, 0.5)


def test_an_instance_lends_its_values():
    """Catches the class's own defaults in place of those that were chosen."""
    lent = extended(Run, BertConfig.tutorial(50, n_heads=4))()
    assert (lent.n_heads, lent.d_ff, lent.norm_order, lent.vocab_size, lent.pad_id) == (4, 512, "pre", 50, 47)


def test_a_default_of_no_setting_is_refused():
    with pytest.raises(TypeError, match="extended: stepps is no setting; did you mean steps?"):
        extended(Run, Things, stepps=5)


def test_settings_without_a_default_must_be_given():
    with pytest.raises(TypeError, match="vocab_size"):
        GPTConfig()
