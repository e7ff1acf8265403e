"""What is written down of a thread's calls, and what they compute when they are made again, in other places of memory."""

import threading
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.calls import Repeated
from tinytx.kernel import is_plain, kernel
from tinytx.recording import Recording, afterwards, beforehand, empty, empty_like, recording, result
from tinytx.training.rooms import APART, arrays, changed, lives, moved, places

compiled = pytest.mark.skipif(is_plain(), reason="in plain Python there is no machine code to call")


@kernel
def _add(y, a, b):
    for i in range(len(y)):
        y[i] = a[i] + b[i]


@kernel
def _scale(y, a, factor, n, negate):
    for i in range(n):
        y[i] = -a[i] * factor if negate else a[i] * factor


@kernel(outputs=1)
def _sums(y, matrix):
    for i in range(len(y)):
        y[i] = 0
        for j in range(matrix.shape[1]):
            y[i] += matrix[i, j]


def first_of(array):
    return float(array[0])


def work(x, weight, taken):
    """Five calls, whose arrays may share places; what is read at the end, and what is handed on."""
    beforehand(np.testing.assert_array_less, x, 100)
    a, b, c = empty(len(x), x.dtype), empty_like(x), empty_like(x)
    _add(a, x, weight)
    _scale(b, a, x.dtype.type(3), len(x), True)
    _add(c, b, x)
    d, e = empty_like(x), empty(2, x.dtype)
    _scale(d, c, x.dtype.type(0.5), len(x), False)
    _sums(e, d.reshape(-1, 2).T)
    afterwards(taken.append, d[1:])
    return result(first_of, e)


def expected(x, weight):
    d = (-3 * (x + weight) + x) * 0.5
    return d[::2].sum(), d[1:]


@compiled
@pytest.mark.parametrize("move", [moved, lambda made: made], ids=["moved", "in place"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_again_with_other_numbers(dtype, move):
    x, weight, taken = np.arange(6, dtype=dtype), np.ones(6, dtype), []
    work(x, weight, [])
    with recording(Recording()) as made:
        first = work(x, weight, taken)
    assert len(made.calls) == 5 and len(taken) == 1 and first == expected(x, weight)[0]
    repeated = Repeated(move(made))
    for seed in range(3):
        x[:], weight[:] = np.random.default_rng(seed).integers(9, size=(2, 6))
        (total,) = repeated.again()
        for function in repeated.recording.after:
            function()
        assert total == expected(x, weight)[0]
        np.testing.assert_array_equal(taken[-1], expected(x, weight)[1])
    assert len(taken) == 4
    x[0] = 100
    with pytest.raises(AssertionError):
        repeated.again()


@compiled
def test_nothing_is_written_where_others_are(monkeypatch):
    """Catches a result that lies where a later call computes, and arrays that were not made for kernels but are moved."""
    x, weight, taken = np.arange(64.0), np.ones(64), []
    with recording(Recording()) as made:
        work(x, weight, taken)
    before = [array.copy() for array in made.made]
    repeated = Repeated(moved(made))
    repeated.again()
    for one, other in zip(made.made, before, strict=True):
        np.testing.assert_array_equal(one, other)
    (call,) = [given for loop, given in repeated.recording.calls if loop is made.calls[0][0]][:1]
    assert call[1] is x and call[2] is weight and call[0] is not made.calls[0][1][0]
    assert sum(array.nbytes for array in made.made) > 3 * 64 * 8 + 64
    owner = call[0].base
    assert owner.nbytes <= 3 * 64 * 8 + 2 * APART + APART  # three arrays of the four at one time at most


@compiled
def test_machine_code_is_the_one_that_python_calls():
    """A copy of a loop that was optimised once more may add up in another order."""
    made = _add.compiled()
    _add(*np.ones((3, 4)))
    with recording(Recording()) as noted:
        _add(*np.ones((3, 4)))
    (signature,) = [each for each in made.signatures if each[0].dtype.name == "float64"]
    library = made.overloads[signature].library
    address = library.get_pointer_to_function(made.overloads[signature].fndesc.llvm_func_name)
    assert Repeated(noted)._memory[0, :8].view(np.int64)[0] == address


@compiled
def test_unknown_machine_code_is_refused():
    made = Recording()
    made.calls.append((_add.compiled(), tuple(np.ones((3, 4), np.int16))))
    with pytest.raises(LookupError):
        Repeated(made)


def test_only_this_thread_is_recorded():
    x = np.ones(4)
    with recording(Recording()) as made:
        other = threading.Thread(target=_add, args=(np.empty(4), x, x))
        other.start()
        other.join()
        assert not made.calls
        _add(np.empty(4), x, x)
        with recording(None):
            _add(np.empty(4), x, x)
        afterwards(_add, np.empty(4), x, x)
    _add(np.empty(4), x, x)
    assert len(made.calls) == 1 and len(made.after) == 1


def test_a_recording_that_gets_too_large_is_none():
    with recording(Recording(most=100)) as made:
        empty(10, np.float64)
        beforehand(len, ())
        assert made.is_whole and made.made
        empty_like(np.zeros(3))
        empty(1000, np.float64)
        _add(*np.ones((3, 4)))
    assert not made.is_whole and not made.made and not made.calls and not made.before


def test_without_a_recording_everything_is_called_once():
    seen = []
    afterwards(seen.append, 1)
    assert beforehand(len, (1, 2)) == 2 and result(abs, -3) == 3 and seen == [1]
    assert empty((2, 3), np.float32).shape == (2, 3) and empty_like(np.zeros((3, 2)).T).strides == (8, 16)


def test_calls_are_not_kept_where_they_do_not_count():
    x, taken = np.ones(4), []
    with recording(Recording(keeps_calls=False)) as made:
        total = work(x, x, taken)
    assert not made.calls and not made.made and made.is_whole and made.results[0]() == total and made.after[0].args[0] is taken[0]


def test_errors_end_a_recording():
    with pytest.raises(ZeroDivisionError), recording(Recording()) as made:
        raise ZeroDivisionError
    _add(*np.ones((3, 4)))
    assert not made.calls


def test_arrays_are_found_and_changed_wherever_they_are():
    a, b, c = np.zeros(1), np.zeros(2), np.zeros(3)
    value = (a, 1, [b, "text"], partial(len, (c, None)))
    assert [len(each) for each in arrays(value)] == [1, 2, 3]
    one, number, (two, text), function = changed(value, lambda array: array + 1)
    assert (one[0], number, two[0], text, function.func, function.args[0][0][0]) == (1, 1, 1, "text", len, 1)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 300)), max_size=12))
def test_arrays_of_one_time_have_places_of_their_own(spans):
    given_spans = {i: (np.zeros(size, np.uint8), min(a, b), max(a, b)) for i, (a, b, size) in enumerate(spans)}
    starts, size = places(given_spans)
    for i, (one, first, last) in given_spans.items():
        assert starts[i] % APART == 0 and starts[i] + one.nbytes <= size
        for j, (other, begins, ends) in given_spans.items():
            if i < j and first <= ends and begins <= last:
                assert starts[i] + one.nbytes <= starts[j] or starts[j] + other.nbytes <= starts[i]
    assert size <= sum(one.nbytes + APART for one, _, _ in given_spans.values())


def test_lives_end_with_the_last_reader():
    x, taken = np.ones(4), []
    with recording(Recording()) as made:
        work(x, x, taken)
    spans = lives(made)
    assert [spans[id(array)][1:] for array in made.made] == [(0, 1), (1, 2), (2, 3), (3, 5), (4, 5)]
