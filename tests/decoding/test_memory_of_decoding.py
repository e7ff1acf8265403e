"""What belongs to a text as a whole: its memory, which is free as soon as the text ends and stays with the process, and the threads of BLAS."""

import gc
import weakref

import numpy as np
import pytest
from toys import random_gpt

from tinytx.decoding import beam_search, generate, greedy
from tinytx.decoding.sessions import sessions_of
from tinytx.kernel import is_plain
from tinytx.workers.blas import OneThread


@pytest.mark.skipif(is_plain(), reason="in plain Python there are no programs")
def test_a_texts_memory_is_free_when_it_ends():
    """Catches things that refer to each other: keys and values of eight texts of 124M, 40 MB, then stay until Python looks for such things."""
    ids = np.array([[1, 2]])
    ((_, session, _),) = sessions_of("test", random_gpt(), ids, 3)
    for new in (ids, ids[:, :1], ids[:, :1]):
        session.logits(new)
    assert session._one_token._programs is not None
    kept = [weakref.ref(array) for slot in session.state.slots for array in slot.arrays]
    gc.collect()
    gc.disable()
    try:
        del session
        assert kept and not any(array() is not None for array in kept)
    finally:
        gc.enable()


def test_freed_memory_is_kept_for_the_next_text(monkeypatch):
    """Catches keys and values for which each text asks the system: of eight texts of 124M that is 10,000 pages, which take 10 to 40 ms."""
    asked = []
    monkeypatch.setattr("tinytx.decoding.sessions.keep_freed_memory", lambda: asked.append(True))
    list(generate(random_gpt(), np.array([[1, 2]]), 1, temperature=0))
    assert asked == [True]


@pytest.mark.parametrize("decode", [greedy, beam_search])
def test_blas_is_held_to_one_thread_once_for_a_text(decode, monkeypatch):
    """Catches a limit that is set and taken back for each token, which takes 8 us."""
    pytest.importorskip("threadpoolctl")
    found, entered = [], OneThread.__enter__

    def enter(self):
        found[-1] += self._inside == 0
        entered(self)

    monkeypatch.setattr(OneThread, "__enter__", enter)
    for n_tokens in (2, 6):
        found.append(0)
        decode(random_gpt(), np.array([[1, 2]]), n_tokens)
    assert found[0] == found[1] > 0
