"""BLAS's threads are the process's: set by the first who asks, set back by the last."""

import sys
import threading

import numpy as np
import pytest

from tinytx import blas
from tinytx.decoding import greedy
from tinytx.models import GPT, GPTConfig

threadpoolctl = pytest.importorskip("threadpoolctl")


def threads():
    """Return the numbers of threads of all BLAS libraries that are loaded."""
    return [library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


@pytest.fixture
def several():
    """Let BLAS have three threads, whatever the machine."""
    with threadpoolctl.threadpool_limits(3, user_api="blas"):
        if not threads() or set(threads()) != {3}:
            pytest.skip("this BLAS has no threads to set")
        yield


@pytest.mark.usefixtures("several")
def test_blocks_may_overlap_in_several_threads():
    """Catches a second block that saves the first one's limit and sets it back for good."""
    entered, leave = threading.Event(), threading.Event()

    def other():
        with blas.one_thread():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with blas.one_thread():
        assert set(threads()) == {1}
        thread.start()
        assert entered.wait(10)
    assert set(threads()) == {1}  # the other one is still inside
    leave.set()
    thread.join()
    assert set(threads()) == {3}


@pytest.mark.usefixtures("several")
def test_an_error_sets_it_back():
    with pytest.raises(KeyError), blas.one_thread():
        raise KeyError
    assert set(threads()) == {3}


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("d_model, expected", [(8, 1), (64, 3)])
def test_decoding_has_one_thread_where_products_are_small(d_model, expected, monkeypatch):
    monkeypatch.setattr("tinytx.decoding.sessions.LARGE", 3 * 32**2)
    model = GPT(GPTConfig(vocab_size=9, max_len=8, d_model=d_model, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    seen, forward = [], type(model).forward
    monkeypatch.setattr(GPT, "forward", lambda *given, **options: seen.append(threads()) or forward(*given, **options))
    greedy(model, np.array([[1, 2, 3]]), 1)
    assert seen and set(seen[0]) == {expected} and set(threads()) == {3}


def test_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    blas._controller.cache_clear()
    with blas.one_thread():
        pass
    blas._controller.cache_clear()
