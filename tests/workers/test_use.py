"""Which pool operations use: the one set from above, none by default and inside a worker."""

import sys
import threading

import numpy as np
import pytest
from cases import Backwards, Seeded
from layer_cases import LAYERS
from op_cases import OPS

from tinytx import workers
from tinytx.ops.attention_patterns import Pattern

NUMBERS = (np.ndarray, np.generic, np.dtype, int, float, bool, slice, type(None), Pattern)  # slices and patterns are numbers, too


def test_serial_by_default_and_inside_a_worker():
    """Catches pools in pools: as many threads as there are processors, in each of them."""
    both = threading.Barrier(2, timeout=10)

    def call(_):
        both.wait()
        with workers.use():
            return workers.count()

    assert workers.count() == 1
    with workers.use(workers.Pool(2)):
        assert workers.count() == 2
        assert workers.map(call, range(2)) == [1, 1]
        assert workers.count() == 2
    assert workers.count() == 1


def test_a_single_call_keeps_the_workers():
    """Catches a batch of one row, or a single batch of an evaluation, that has one processor."""
    with workers.use(workers.Pool(3)):
        assert workers.map(lambda _: workers.count(), [0]) == [3]


def test_small_items_are_grouped():
    """Catches an item that is left out between two groups, and a group for each."""
    pool, half = Backwards(2), workers.pool.GROUP // 2
    with workers.use(pool):
        assert workers.map_grouped(str, range(7), lambda _: half) == list("0123456")
        assert workers.map_grouped(str, range(7), lambda _: 1) == list("0123456")
        assert workers.map_grouped(str, [], lambda _: 1) == []
    assert pool.calls == [4]


def test_default_is_the_pool_in_use_and_then_one_of_all_processors():
    with workers.use(workers.Pool(5)):
        with workers.use():
            assert workers.count() == 5
        with workers.use(workers.Pool(4)):
            assert workers.count() == 4
        assert workers.count() == 5
    with workers.use():
        assert workers.count() == workers.Pool().count


def test_an_error_ends_the_use():
    with pytest.raises(KeyError), workers.use(workers.Pool(2)):
        workers.map({}.__getitem__, range(3))
    assert workers.count() == 1


def test_another_thread_is_serial():
    """Catches a setting of the whole process."""
    found = []
    with workers.use(workers.Pool(2)):
        thread = threading.Thread(target=lambda: found.append(workers.count()))
        thread.start()
        thread.join()
    assert found == [1]


def gradients_of(name):
    case = OPS[name](Seeded(3))
    y, saved = case.forward(case.arrays)
    return case.backward(np.ones_like(y), saved) | {"y": y}


@pytest.mark.parametrize("name", OPS)
def test_results_do_not_depend_on_workers(name, monkeypatch):
    """Catches parts that overlap, are left out, or depend on each other: the last of them is made first."""
    expected = gradients_of(name)
    limits = ("linear", "LARGE"), ("attention_tiles", "BLOCK"), ("attention_tiles", "KEYS"), ("attention_saved", "LARGE"), ("tsne", "BLOCK")
    for module, limit in limits:
        monkeypatch.setattr(sys.modules[f"tinytx.ops.{module}"], limit, 1)
    with workers.use(Backwards(3)):
        results = gradients_of(name)
    assert results.keys() == expected.keys()
    for key, one in expected.items():
        np.testing.assert_allclose(results[key], one, rtol=1e-12, atol=1e-14, err_msg=key)


def strangers(saved):
    """Yield what is neither an array nor a number in what an operation saved."""
    if isinstance(saved, dict):
        saved = tuple(saved.values())
    if isinstance(saved, (tuple, list)):
        for value in saved:
            yield from strangers(value)
    elif callable(saved) or not isinstance(saved, NUMBERS):
        yield saved


@pytest.mark.parametrize("name", OPS)
def test_operations_save_arrays_and_numbers_only(name):
    case = OPS[name](Seeded(3))
    assert not list(strangers(case.forward(case.arrays)[1]))


@pytest.mark.parametrize("name", LAYERS)
def test_layers_save_arrays_and_numbers_only(name):
    case = LAYERS[name](Seeded(3))
    _, (_, tape) = case.forward(case.arrays)
    assert not list(strangers([saved for _, saved in tape._stack]))


def test_what_is_no_array_and_no_number_is_noticed():
    """The test of the test."""
    assert list(strangers((1, {"f": map}, [np.ones(2)], "text"))) == [map, "text"]
