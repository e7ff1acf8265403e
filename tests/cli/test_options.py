"""Flags from a dataclass."""

import argparse
import math
from dataclasses import dataclass

import pytest

from tinytx.cli.options import add_options, check, given, option, without_effect


@dataclass(frozen=True)
class Settings:
    n_things: int = option(3, "how many; 100 % of them", minimum=1, maximum=9)
    rate: float = option(0.5, "how fast", minimum=0.0)
    path: str | None = option(None, "where")
    width: int | None = option(None, "how wide", minimum=1)
    loud: bool = option(False, "how loud", only={"kind": ("b",), "width": (None,)})
    kind: str = option("a", "which", choices=("a", "b"))

    def __post_init__(self):
        check(self)


def parse(line):
    parser = argparse.ArgumentParser()
    add_options(parser, Settings)
    return given(parser.parse_args(line.split()), Settings)


def test_only_flags_that_were_typed_are_given():
    """Catches defaults that look like choices: a resumed run would forget its own settings."""
    assert parse("") == {}
    assert parse("--n-things 3") == {"n_things": 3}


def test_every_kind_of_field():
    """Catches a type taken for another, such as a None that hides the int, or bool("False")."""
    typed = parse("--n-things 4 --rate 2 --path p --width 7 --loud --kind b")
    assert typed == {"n_things": 4, "rate": 2.0, "path": "p", "width": 7, "loud": True, "kind": "b"}
    assert [type(value) for value in typed.values()] == [int, float, str, int, bool, str]
    assert parse("--no-loud") == {"loud": False}


def test_help_shows_defaults_and_survives_a_percent_sign(capsys):
    """Catches argparse's own % formatting, which raises on a lone one."""
    with pytest.raises(SystemExit):
        parse("--help")
    help_text = " ".join(capsys.readouterr().out.split())
    assert "how many; 100 % of them (default: 3)" in help_text
    assert "how wide --" in help_text  # no "(default: None)"


def test_what_is_inherited_stands_behind():
    """Catches a model's own flags hidden behind those of every run, and an inherited one that is lost."""

    @dataclass(frozen=True)
    class Derived(Settings):
        own: int = option(1, "of the model")
        rate: float = option(0.1, "another default")

    parser = argparse.ArgumentParser(usage="")
    add_options(parser, Derived)
    flags = [word for word in parser.format_help().split() if word.startswith("--") and word != "--help"]
    assert flags == ["--rate", "--own", "--n-things", "--path", "--width", "--loud,", "--no-loud", "--kind"]
    assert given(parser.parse_args(["--own", "2", "--width", "3"]), Derived) == {"own": 2, "width": 3}


def test_defaults_pass():
    """Catches a check that refuses None, where the field allows it."""
    Settings()
    Settings(rate=1, width=2)  # a whole number is a float


@pytest.mark.parametrize(
    "values, message",
    [
        ({"n_things": 0}, "--n-things is 0, expected at least 1"),
        ({"width": 0}, "--width is 0, expected at least 1"),
        ({"n_things": 10**30}, "--n-things is 10+, expected at most 9"),
        ({"rate": -0.1}, "--rate is -0.1, expected at least 0.0"),
        ({"rate": math.nan}, "--rate is nan, expected a finite number"),
        ({"rate": math.inf}, "--rate is inf, expected a finite number"),
        ({"kind": "c"}, "--kind is 'c', expected one of a, b"),
        ({"n_things": "3"}, "--n-things is '3', expected a value of type int"),
        ({"n_things": True}, "--n-things is True, expected a value of type int"),
        ({"n_things": None}, "--n-things is None, expected a value of type int"),
        ({"rate": "fast"}, "--rate is 'fast', expected a value of type float"),
        ({"loud": 1}, "--loud is 1, expected a value of type bool"),
        ({"path": ["x"]}, r"--path is \['x'\], expected a value of type str"),
    ],
)
def test_values_out_of_bounds_or_of_another_type(values, message):
    """Catches what a flag, or a file from a stranger, may hold: each is refused by the name of its flag."""
    with pytest.raises(ValueError, match=message):
        Settings(**values)


@pytest.mark.parametrize(
    "values, lines",
    [
        ({}, []),
        ({"loud": True, "kind": "b"}, []),
        ({"loud": True}, ["--loud has no effect where --kind is a"]),
        ({"loud": True, "kind": "b", "width": 3}, ["--loud has no effect where --width is 3"]),
    ],
)
def test_settings_that_have_no_effect_beside_others(values, lines):
    """Catches a flag that is taken, changes nothing, and is not mentioned; and notes about mere defaults."""
    assert without_effect(Settings(**values)) == lines
