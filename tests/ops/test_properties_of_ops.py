"""Every operation has every property: one table (op_cases.py) through one list (properties.py)."""

import numpy as np
import pytest
from cases import Drawn, Seeded
from hypothesis import given, settings, target
from hypothesis import strategies as st
from op_cases import OPS
from properties import PROPERTIES, check_dtype, check_gradient, check_strided

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("check", PROPERTIES, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", OPS)
@given(data=st.data(), seed=SEEDS)
@settings(max_examples=min(5, settings().max_examples))
def test_property(name, check, data, seed):
    worst = check(OPS[name](Drawn(data.draw)), np.random.default_rng(seed))
    if worst is not None:
        target(worst)


@pytest.mark.parametrize("check", [check_gradient, check_dtype, check_strided], ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("seed", range(3))
def test_property_where_sizes_are_one(name, check, seed):
    """Catches an axis of size 1 that is broadcast or squeezed away."""
    check(OPS[name](Seeded(seed, ones=True)), np.random.default_rng(seed))
