"""Flags from a dataclass."""

import argparse
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from tinytx.cli import options
from tinytx.cli.options import add_options, given
from tinytx.recipes.settings import without_effect
from tinytx.settings import Settings, setting


class Flags(Settings):
    n_things: int = setting(3, "how many; 100 % of them", minimum=1, maximum=9)
    rate: float = setting(0.5, "how fast", minimum=0.0)
    path: str | None = setting(None, "where")
    width: int | None = setting(None, "how wide", minimum=1)
    loud: bool = setting(False, "how loud", only={"kind": ("b",), "width": (None,)})
    kind: str = setting("a", "which", choices=("a", "b"))

def parse(line):
    parser = argparse.ArgumentParser()
    add_options(parser, Flags)
    return given(parser.parse_args(line.split()), Flags)


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

    class Derived(Flags):
        own: int = setting(1, "of the model")
        rate: float = setting(0.1, "another default")

    parser = argparse.ArgumentParser(usage="")
    add_options(parser, Derived)
    flags = [word for word in parser.format_help().split() if word.startswith("--") and word != "--help"]
    assert flags == ["--own", "--rate", "--n-things", "--path", "--width", "--loud,", "--no-loud", "--kind"]
    assert given(parser.parse_args(["--own", "2", "--width", "3"]), Derived) == {"own": 2, "width": 3}


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
    assert without_effect(Flags(**values)) == lines


def test_8_bits_are_read_where_they_are_asked_for(monkeypatch):
    class Run(NamedTuple):
        model: object

    model = SimpleNamespace(quantized=lambda: "in 8 bits")
    monkeypatch.setattr(options, "load_run", lambda *arguments, own: Run(model))
    arguments = argparse.Namespace(dir="run", recipe=None)
    assert options.load(arguments) == Run(model)
    assert options.load(arguments, int8=True) == Run("in 8 bits")


def test_the_folder_of_a_model_that_cannot_be_rounded_is_named(monkeypatch):
    """Catches a message that leaves open which of two folders is meant."""

    class Run(NamedTuple):
        model: object

    def quantized():
        raise ValueError("row 3 is nan")

    monkeypatch.setattr(options, "load_run", lambda *arguments, own: Run(SimpleNamespace(quantized=quantized)))
    arguments = argparse.Namespace(dir="run", recipe=None)
    for folder, named in ((None, "run"), ("draft", "draft")):
        with pytest.raises(ValueError, match=f"^{named}: row 3 is nan$"):
            options.load(arguments, int8=True, folder=folder)
