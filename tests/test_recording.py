"""What is written down of a thread's calls, and what they compute when they are made again, in other places of memory."""

import mmap
import threading
import weakref
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.calls import Repeated
from tinytx.kernel import is_plain, kernel
from tinytx.recording import (
    Bits,
    Recording,
    View,
    afterwards,
    beforehand,
    bits_of,
    changed,
    empty,
    empty_like,
    found,
    recording,
    result,
)
from tinytx.training import rooms
from tinytx.training.rooms import APART, Life, lives, placed, places

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
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_again_with_other_numbers(dtype):
    x, weight, taken = np.arange(6, dtype=dtype), np.ones(6, dtype), []
    work(x, weight, [])
    with recording(Recording()) as made:
        first = work(x, weight, taken)
    assert len(made.calls) == 5 and len(taken) == 1 and first == expected(x, weight)[0]
    step, _ = placed(made, 10_000)
    repeated = Repeated(step)
    for seed in range(3):
        x[:], weight[:] = np.random.default_rng(seed).integers(9, size=(2, 6))
        (total,) = repeated.again()
        for function in step.after:
            function()
        assert total == expected(x, weight)[0]
        np.testing.assert_array_equal(taken[-1], expected(x, weight)[1])
    assert len(taken) == 4
    x[0] = 100
    with pytest.raises(AssertionError):
        repeated.again()


def test_what_was_made_is_moved_and_nothing_else():
    x, weight, taken = np.arange(64.0), np.ones(64), []
    with recording(Recording()) as made:
        work(x, weight, taken)
    assert made.sizes == [512, 512, 512, 512, 16]
    step, size = placed(made, 10_000)
    assert size == 2 * 512  # two at one time, and the small one in the place of one that is read no more
    assert step.calls[0][1][1] is x and step.calls[0][1][2] is weight and step.before[0].args[0] is x
    (a, *_), (d, *_), (e, view) = (step.calls[i][1] for i in (0, 3, 4))
    assert a.flags.aligned and a.flags.writeable and a.strides == (8,) and a.ctypes.data % APART == 0
    assert view.shape == (2, 32) and view.strides == (8, 16) and view.ctypes.data == d.ctypes.data
    assert step.results[0].args[0].ctypes.data == e.ctypes.data and step.after[0].args[0].ctypes.data == d.ctypes.data + 8
    before = taken[0].copy()
    d[...] = -1
    np.testing.assert_array_equal(taken[0], before)


def test_a_recording_keeps_no_array_that_was_made():
    """Catches one that has the id of another that is gone: it is none of the recording's, or another one."""
    x = np.ones(1000)
    with recording(Recording()) as made:
        for i in range(20):
            y = empty(1000, np.float64)
            _add(y, x, x)
            gone = weakref.ref(y)
            del y
            assert gone() is None
            other = np.full(1000, float(i))  # where y was, most likely
            _add(other, x, x)
            del other
    views = [arguments[0] for _, arguments in made.calls]
    assert views[::2] == [View(i, 0, (1000,), np.dtype(float), (8,)) for i in range(20)]
    assert all(isinstance(each, np.ndarray) for each in views[1::2]) and len({id(each) for each in views[1::2]}) == 20
    assert placed(made, 8000 - 1) == (None, 8000) and placed(made, 8000)[0] is not None  # one place for all of them


@compiled
@pytest.mark.parametrize("hands_on", [False, True])
def test_what_is_handed_on_between_calls(hands_on):
    """Each gradient behind the calls that make it, and before the next ones; each call once."""
    x, total, seen = np.ones(4), np.zeros(4), []
    with recording(Recording()) as made:
        for factor in (1.0, 2.0, 3.0):
            y = empty_like(x)
            _scale(y, x, factor, 4, False)
            _add(total, total, x)
            afterwards(lambda array: seen.append((array[0], total[0])), y)
    assert made.stops == [2, 4, 6]
    repeated, _ = placed(made, 10_000)
    seen.clear()
    Repeated(repeated).again(hands_on)
    assert seen == ([(1, 4), (2, 5), (3, 6)] if hands_on else []) and total[0] == 6


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


def test_without_a_recording_everything_is_called_once():
    seen = []
    afterwards(seen.append, 1)
    assert beforehand(len, (1, 2)) == 2 and result(abs, -3) == 3 and seen == [1]
    assert empty((2, 3), np.float32).shape == (2, 3) and empty_like(np.zeros((3, 2)).T).strides == (8, 16)


def test_bits_of_what_is_read_and_handed_on():
    x, weight, bits = np.arange(6.0), np.ones(6), []
    for weight in (weight, weight, weight + 1e-15, np.zeros(6)):
        with recording(Bits()) as made:
            work(x, weight, [])
        bits.append(made.seen)
    assert bits[0] == bits[1] and bits[0] != bits[2] and bits[0] != bits[3]
    assert [[shape for shape, _ in each] for each in bits[0]] == [[(2,)], [(5,)]]
    assert bits_of(partial(len, x)) == bits_of(partial(abs, [x.copy()])) != bits_of(partial(len, -x)) and bits_of(partial(len, 1)) == []
    np.testing.assert_equal(bits_of(partial(len, np.ones((2, 3)).T)), bits_of(partial(len, np.ones((3, 2)))))


def test_errors_end_a_recording():
    with pytest.raises(ZeroDivisionError), recording(Recording()) as made:
        raise ZeroDivisionError
    _add(*np.ones((3, 4)))
    assert not made.calls


def test_arrays_are_found_and_changed_wherever_they_are():
    a, b, c = np.zeros(1), np.zeros(2), np.zeros(3)
    value = (a, 1, [b, "text"], partial(len, (c, None), key=[a], reverse=2))
    assert [len(each) for each in found(np.ndarray, value)] == [1, 2, 3, 1]
    one, number, (two, text), function = changed(np.ndarray, value, lambda array: array + 1)
    assert (one[0], number, two[0], text, function.func, function.args[0][0][0]) == (1, 1, 1, "text", len, 1)
    assert function.keywords == {"key": [1], "reverse": 2}


class Room(mmap.mmap):
    def madvise(self, advice):
        raise OSError(22, "Invalid argument")


def test_systems_without_large_pages_or_without_memory(monkeypatch):
    """Catches a run that ends since its steps cannot be made faster."""
    with recording(Recording()) as made:
        work(np.ones(4), np.ones(4), [])
    monkeypatch.setattr(rooms, "mmap", SimpleNamespace(mmap=Room, ACCESS_COPY=mmap.ACCESS_COPY, MADV_HUGEPAGE=14))
    assert placed(made, 10_000)[0].calls[0][1][0].shape == (4,)
    monkeypatch.delattr(rooms.mmap, "MADV_HUGEPAGE")
    assert placed(made, 10_000)[0] is not None

    def refuse(*given, **settings):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(rooms.mmap, "mmap", refuse)
    assert placed(made, 10_000) == (None, 128)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 300)), max_size=12))
def test_arrays_of_one_time_have_places_of_their_own(spans):
    given_spans = {i: Life(size, min(a, b), max(a, b)) for i, (a, b, size) in enumerate(spans)}
    starts, size = places(given_spans)
    for i, one in given_spans.items():
        assert starts[i] % APART == 0 and starts[i] + one.size <= size
        for j, other in given_spans.items():
            if i < j and one.first <= other.last and other.first <= one.last:
                assert starts[i] + one.size <= starts[j] or starts[j] + other.size <= starts[i]
    assert size <= sum(one.size + APART for one in given_spans.values())


def test_lives_end_with_the_last_reader():
    x, taken = np.ones(4), []
    with recording(Recording()) as made:
        work(x, x, taken)
    assert lives(made) == {0: (32, 0, 1), 1: (32, 1, 2), 2: (32, 2, 3), 3: (32, 3, 5), 4: (16, 4, 5)}
