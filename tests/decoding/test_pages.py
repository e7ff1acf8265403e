"""Pages of 2 MB: which are asked for, and that it is done once."""

import numpy as np
import pytest
from toys import random_gpt

from tinytx.decoding import pages
from tinytx.decoding.sessions import sessions_of
from tinytx.kernel import is_plain


@pytest.fixture
def asked(monkeypatch):
    """Calls of the system: (first byte, number of bytes, advice)."""
    asked = []
    monkeypatch.setattr(pages, "_madvise", lambda: lambda *call: asked.append(call))
    return asked


def test_arrays_beside_each_other_are_asked_for_together():
    """Catches pages between two arrays that neither of them fills, and such as lie apart taken for one range."""
    memory = np.zeros(12 * pages.SIZE, np.uint8)
    start = -(-memory.ctypes.data // pages.SIZE)
    aligned = memory[start * pages.SIZE - memory.ctypes.data :]
    half = pages.SIZE // 2
    arrays = [aligned[9 * half : 11 * half], aligned[: 3 * half], aligned[16 * half : 18 * half], aligned[3 * half : 7 * half]]
    assert pages.spans(arrays) == [[start, start + 6], [start + 8, start + 9]]


def test_each_large_array_is_asked_for_once(asked):
    small, large = np.zeros(pages.SMALLEST // 4 - 1, np.float32), np.arange(pages.SMALLEST // 4, dtype=np.float32)
    pages.use_large_pages([small])
    assert asked == []
    pages.use_large_pages([small, large])
    first, stop = pages.spans([large])[0]
    assert asked == [(first * pages.SIZE, (stop - first) * pages.SIZE, advice) for advice in (14, 25)]
    pages.use_large_pages([large, small])
    assert len(asked) == 2
    pages.use_large_pages([large.copy()])
    assert len(asked) == 4


def test_numbers_stay_what_they_are():
    array = np.arange(3 << 19, dtype=np.float32)
    address = array.ctypes.data
    pages.use_large_pages([array])
    assert array.ctypes.data == address
    np.testing.assert_array_equal(array, np.arange(3 << 19, dtype=np.float32))


def test_systems_without_such_pages(monkeypatch):
    monkeypatch.setattr(pages, "_madvise", lambda: None)
    pages.use_large_pages([np.zeros(pages.SMALLEST)])


@pytest.mark.skipif(is_plain(), reason="in plain Python there are no programs")
def test_what_each_token_reads_is_asked_for(monkeypatch):
    """Catches keys and values left in pages of 4 kB: attention of eight texts in 124M then takes twice as long."""
    (model, ids), arrays = (random_gpt(), np.array([[1, 2]])), []
    monkeypatch.setattr("tinytx.decoding.programs.one_token.use_large_pages", arrays.extend)
    ((_, session, _),) = sessions_of("test", model, ids, 3)
    session.logits(ids)
    session.logits(ids[:, :1])
    held = [array for slot in session.state.slots for array in slot.arrays]
    assert len(held) == 2 * model.config.n_layers
    assert {id(array) for array in arrays} == {id(array) for array in [*held, *(parameter.data for parameter in model.parameters())]}
