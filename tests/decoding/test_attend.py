"""Attention of one token in a program, in parts that threads share."""

import numpy as np
import pytest

from tinytx import workers
from tinytx.decoding.programs import loops


@pytest.mark.compiled
def test_parts_of_attention_have_all_groups():
    """Catches groups that no part makes, and ones that are made of another group's keys: parts of two groups, and a last one of one."""
    rng, (rows, groups, before, room, width) = np.random.default_rng(0), (3, 15, 95, 97, 16)
    assert rows * groups // loops.PARTS == 2 and rows * groups * before * width >= loops.LARGE
    q, k, v = rng.normal(size=(3, rows, groups * width))
    keys, values = rng.normal(size=(2, rows, groups, room, width))
    y, one, scores = np.empty((rows, groups * width)), np.empty((1, width)), np.empty((rows * groups, room + 1))
    rest = np.array([before]), 0.3, 1 << 62, 0
    loops.attend(workers.awake.words(), y, scores, q, k, v, keys, values, *rest)
    for b in range(rows):
        for g in range(groups):
            part = slice(g * width, (g + 1) * width)
            own = (np.ascontiguousarray(array[b : b + 1, part]) for array in (q, k, v))
            loops.attend(workers.awake.words(), one, scores, *own, keys[b : b + 1, g : g + 1].copy(), values[b : b + 1, g : g + 1].copy(), *rest)
            np.testing.assert_array_equal(y[b, part], one[0])
