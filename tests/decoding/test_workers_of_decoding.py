"""Decoding uses the workers, and holds BLAS to one thread."""

import numpy as np
import pytest

from tinytx import workers
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
def test_decoding_has_one_blas_thread_and_all_workers(monkeypatch):
    """Catches BLAS's threads, woken for each small product; and a long prompt on one processor of several."""
    config = GPTConfig(vocab_size=9, max_len=8, d_model=8, n_heads=2, n_layers=1)
    model = NextToken(GPT(config, rng=np.random.default_rng(0)))
    seen, forward = [], GPT.forward

    def watched(*given, **options):
        seen.append((threads(), workers.count()))
        return forward(*given, **options)

    monkeypatch.setattr(GPT, "forward", watched)
    greedy(model, np.array([[1, 2, 3]]), 1)
    blas, n = seen[0]
    assert set(blas) == {1} and set(threads()) == {3}
    assert n == workers.Pool().count and workers.count() == 1
