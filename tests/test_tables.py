"""The tables of cases are complete: everything that is exported is tried, or stands here with the reason why not."""

import inspect

import numpy as np
import pytest
from cases import Seeded
from layer_cases import LAYERS
from op_cases import LOSSES, OPS

import tinytx.layers
from tinytx import ops
from tinytx.core import Layer
from tinytx.ops import plain

NO_GRADIENT = {"affinities", "alibi", "attention_weights", "by_expert", "count_targets", "global_window_weights", "linear_attention_weights", "lsh_buckets", "lsh_weights", "quantize_rows", "quantized_embedding", "quantized_linear", "rotary_frequencies", "sinusoidal_grid", "sinusoidal_positions"}  # tests of their own
NO_LAYERS = {"causal_mask", "padding_mask", "permutation_masks"}  # tests of their own
CONSTANT = {"Alibi"}  # a layer without anything to differentiate by: tests of its own, and a case beside attention

PAIRS = sorted(name for name in ops.__all__ if f"{name}_backward" in ops.__all__)


def missing_operations(exported, table):
    """Return what is exported and neither a pair with a case of its name nor among those without a gradient."""
    pairs = {name for name in exported if f"{name}_backward" in exported}
    named = {name.split()[0] for name in table}
    known = {member for name in pairs & named for member in (name, f"{name}_backward")}
    return set(exported) - known - NO_GRADIENT


def missing_layers(exported, table):
    """Return what is exported and of which no case is one."""
    cases = [table[name](Seeded(0)) for name in table]
    tried = {type(layer).__name__ for case in cases for layer in case.layers.values()}
    return set(exported) - tried - NO_LAYERS - CONSTANT


def test_every_operation_has_a_case():
    assert not missing_operations(ops.__all__, OPS)
    assert NO_GRADIENT <= set(ops.__all__)


def test_every_layer_has_a_case():
    exported = set(tinytx.layers.__all__)
    assert not missing_layers(exported, LAYERS)
    assert {name for name in exported if not _is_layer(getattr(tinytx.layers, name))} == NO_LAYERS


def _is_layer(thing):
    return isinstance(thing, type) and issubclass(thing, Layer)


@pytest.mark.parametrize("name", PAIRS)
def test_an_operation_without_a_case_is_noticed(name):
    """Catches a check that could not fail."""
    fewer = {case: make for case, make in OPS.items() if case.split()[0] != name}
    assert missing_operations(ops.__all__, fewer) == {name, f"{name}_backward"}


def test_a_new_operation_is_noticed():
    assert missing_operations([*ops.__all__, "new", "new_backward"], OPS) == {"new", "new_backward"}
    assert missing_operations([*ops.__all__, "new_measure"], OPS) == {"new_measure"}


@pytest.mark.parametrize("name", sorted(set(tinytx.layers.__all__) - NO_LAYERS - CONSTANT))
def test_a_layer_without_a_case_is_noticed(name):
    fewer = {case: make for case, make in LAYERS.items() if case.split()[0] != name}
    assert missing_layers(tinytx.layers.__all__, fewer) == {name}


@pytest.mark.parametrize("module", [ops, plain])
@pytest.mark.parametrize("name", PAIRS)
def test_every_backward_takes_the_gradient_and_then_what_was_saved(name, module):
    """Catches a loss whose backward is called in another way than all others."""
    dy, saved, *others = inspect.signature(getattr(module, f"{name}_backward")).parameters.values()
    assert (dy.name, saved.name) == ("dloss" if name in LOSSES else "dy", "saved")
    assert dy.default is saved.default is inspect.Parameter.empty
    assert all(other.default is not inspect.Parameter.empty for other in others)


def _stop(*arguments, **options):
    raise StopIteration("reached")


@pytest.mark.parametrize("name", PAIRS)
def test_cases_call_what_they_are_named_for(name, monkeypatch):
    """Catches a case that carries a name and tries another function."""
    cases = [OPS[case](Seeded(0)) for case in OPS if case.split()[0] == name]
    results = [case.forward(case.arrays) for case in cases]
    for function, call in (
        (getattr(ops, name), lambda case, y, saved: case.forward(case.arrays)),
        (getattr(ops, f"{name}_backward"), lambda case, y, saved: case.backward(np.ones_like(y), saved)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(function, "__code__", _stop.__code__)  # whoever holds the function, under any name
            for case, result in zip(cases, results, strict=True):
                with pytest.raises(StopIteration, match="reached"):
                    call(case, *result)
