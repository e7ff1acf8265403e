"""Decoding holds BLAS to one thread where products are small; tests/training/test_threads.py has the context itself."""

import sys

import numpy as np
import pytest

from tinytx import blas
from tinytx.decoding import greedy
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken

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
@pytest.mark.parametrize("d_model, expected", [(8, 1), (64, 3)])
def test_decoding_has_one_thread_where_products_are_small(d_model, expected, monkeypatch):
    monkeypatch.setattr("tinytx.decoding.sessions.LARGE", 3 * 32**2)
    model = NextToken(GPT(GPTConfig(vocab_size=9, max_len=8, d_model=d_model, n_heads=2, n_layers=1), rng=np.random.default_rng(0)))
    seen, forward = [], type(model).forward
    monkeypatch.setattr(GPT, "forward", lambda *given, **options: seen.append(threads()) or forward(*given, **options))
    greedy(model, np.array([[1, 2, 3]]), 1)
    assert seen and set(seen[0]) == {expected} and set(threads()) == {3}


def test_without_threadpoolctl(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    blas.one_thread_if_it_can.cache_clear()
    with blas.one_thread_if_it_can():
        pass
    blas.one_thread_if_it_can.cache_clear()
