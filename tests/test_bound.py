"""Calls that are written down: they get the arguments that they were given, at every call, in a second process too."""

import subprocess
import sys
import textwrap
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from tinytx import addresses
from tinytx.calls import CALL, bind, bound, run_calls
from tinytx.kernel import is_plain, kernel

compiled = pytest.mark.skipif(is_plain(), reason="in plain Python there is no machine code to call")


@kernel
def _run(codes, places):
    run_calls(codes, places)


@kernel
def _row_sum(row):
    total = row.dtype.type(0)
    for i in range(row.size):
        total += row[i]
    return total


@kernel
def _fill(out, matrix, factor, n, negate):
    """Slices its arguments, so that owners of arrays are counted."""
    for i in range(n):
        row = matrix[i]
        out[i] = _row_sum(row[1:]) * factor
        if negate:
            out[i] = -out[i]


@kernel
def _double(out):
    for i in range(out.size):
        out[i] *= 2


class Calls:
    def __init__(self, *calls):
        self.calls, self.memory = calls, [np.zeros(CALL, np.uint8) for _ in calls]
        self.codes = np.array([bound(loop, memory, *rest) for (loop, *rest), memory in zip(calls, self.memory, strict=True)], np.int64)
        self.places = np.array([memory.ctypes.data for memory in self.memory], np.int64)

    def run(self):
        _run(self.codes, self.places)


@compiled
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("negate", [True, False])
def test_arguments_of_every_kind(dtype, negate):
    """Catches arguments in a wrong order or place: arrays, a number of either size, a whole number, a flag."""
    rng = np.random.default_rng(0)
    out, matrix = np.zeros(5, dtype), rng.normal(size=(5, 4)).astype(dtype)
    calls = Calls((_fill, out, matrix, dtype(1.5), 4, negate), (_double, out))
    for _ in range(3):
        matrix[...] = rng.normal(size=matrix.shape)
        out[4] = 7
        calls.run()
        expected = 3 * matrix[:4, 1:].sum(axis=1) * (-1 if negate else 1)
        np.testing.assert_allclose(out, [*expected, 14], rtol=1e-5)


@compiled
def test_calls_are_made_in_their_order():
    out, ones = np.zeros(2), np.ones((2, 3))
    fill, double = (_fill, out, ones, 1.0, 2, False), (_double, out)
    for order, expected in (((fill, double, double), 8), ((double, fill, double), 4), ((double, double, fill), 2), ((), 2)):
        Calls(*order).run()
        np.testing.assert_array_equal(out, expected)


@compiled
def test_owners_of_arrays_are_left_alone():
    """Catches an owner that Numba made for one call and that a later call counts down: memory is given back twice then."""
    out, matrix = np.zeros(50), np.random.default_rng(0).normal(size=(50, 4))
    before = sys.getrefcount(matrix), sys.getrefcount(out)
    calls = Calls(*[(_fill, out, matrix, 1.0, 50, False)] * 20)
    held = [sys.getrefcount(matrix) - before[0], sys.getrefcount(out) - before[1]]
    for _ in range(100):
        calls.run()
    assert [sys.getrefcount(matrix) - before[0], sys.getrefcount(out) - before[1]] == held
    np.testing.assert_allclose(out, matrix[:, 1:].sum(axis=1))


@compiled
def test_too_many_arguments():
    """Catches a write behind the memory of a call."""
    arrays = [np.zeros((1,) * 30) for _ in range(8)]
    with pytest.raises(ValueError, match=f"the arguments take .* bytes, expected at most {CALL}"):
        bound(_wide_arrays, np.zeros(CALL, np.uint8), *arrays)


@kernel
def _wide_arrays(a, b, c, d, e, f, g, h):
    pass


@compiled
def test_memory_of_another_size():
    """Catches a write behind memory that is too small, or into numbers of another kind."""
    out = np.zeros(2)
    for wrong in (np.zeros(CALL - 1, np.uint8), np.zeros(CALL, np.float32), np.zeros(2 * CALL, np.uint8)[::2]):
        with pytest.raises(ValueError, match="memory"):
            bound(_double, wrong, out)


@compiled
def test_kernels_that_other_processes_cannot_find():
    """Catches a kernel inside a function, which is called by its address, and which machine code on disk knows by its name."""

    @kernel
    def inside(out):
        out[0] = 1

    with pytest.raises(numba.TypingError, match="inside: other processes have to find it; expected a kernel at the top of a module"):
        bound(inside, np.zeros(CALL, np.uint8), np.zeros(2))


@kernel
def _halve(out):
    for i in range(out.size):
        out[i] /= 2


@compiled
def test_machine_code_that_is_not_there(monkeypatch, capsys):
    """Catches a call of address 0, which ends the process."""

    def unreadable(data, size):
        raise LookupError("a kernel that has another name now")

    monkeypatch.setattr(addresses, "ctypes", SimpleNamespace(string_at=unreadable))
    with pytest.raises(RuntimeError, match="_halve: there is no machine code of it; the reason is above"):
        bound(_halve, np.zeros(CALL, np.uint8), np.ones(2))
    assert "a kernel that has another name now" in capsys.readouterr().err
    monkeypatch.undo()
    assert bound(_halve, np.zeros(CALL, np.uint8), np.ones(2)) != 0


SCRIPT = """
    import numpy as np
    from tinytx import kernel
    from tinytx.calls import CALL, bound
    from tinytx.ops.gelu import _share_tanh_forward, _tanh_forward
    compiled = []
    kernel.on_compile = compiled.append
    x, y, memory = np.ones(3), np.zeros(3), np.zeros(CALL, np.uint8)
    bound(_tanh_forward, memory, 0, 1, y, x)
    _share_tanh_forward(np.zeros(0, np.int64), 1, y, x)
    print(*compiled)
"""


@compiled
def test_machine_code_is_kept(tmp_path, monkeypatch):
    """Catches code with an address in it, which each process compiles anew, and a binder that is taken for the loop that it stands beside."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    told = [subprocess.run([sys.executable, "-c", textwrap.dedent(SCRIPT)], capture_output=True, text=True, check=True).stdout for _ in "12"]
    assert sorted(told[0].split()) == ["_edge", "_share_tanh_forward", "_tanh_forward", "bind_tanh_forward"]
    assert told[1].strip() == ""


def test_plain_python_has_no_machine_code():
    with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT is set"):
        bind(np.zeros(CALL, np.uint8), _double, ())
