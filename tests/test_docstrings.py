"""The examples in docstrings run, and everything public has a docstring."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import tinytx

MODULES = [name for _, name, _ in pkgutil.walk_packages(tinytx.__path__, "tinytx.") if not name.endswith("__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    """An example that no longer runs is the first thing that a newcomer meets."""
    failed, _ = doctest.testmod(importlib.import_module(name), extraglobs={"np": np})
    assert not failed


@pytest.mark.parametrize("name", MODULES)
def test_public_things_are_documented(name):
    """Modules, and the functions and classes defined in them."""
    module = importlib.import_module(name)
    assert module.__doc__, name
    for thing_name, thing in vars(module).items():
        if inspect.isfunction(thing) or inspect.isclass(thing):
            if thing.__module__ == name and not thing_name.startswith("_"):
                assert thing.__doc__, f"{name}.{thing_name}"
