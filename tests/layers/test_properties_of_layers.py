"""Every layer has every property: one table (layer_cases.py) through one list (properties.py)."""

import numpy as np
import pytest
from cases import Drawn, Seeded
from hypothesis import given, settings, target
from hypothesis import strategies as st
from layer_cases import LAYERS
from properties import LAYER_PROPERTIES, check_dtype, check_gradient, check_strided

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("check", LAYER_PROPERTIES, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", LAYERS)
@given(data=st.data(), seed=SEEDS)
@settings(max_examples=min(2, settings().max_examples))
def test_property(name, check, data, seed):
    worst = check(LAYERS[name](Drawn(data.draw)), np.random.default_rng(seed))
    if worst is not None:
        target(worst)


@pytest.mark.parametrize("check", [check_gradient, check_dtype, check_strided], ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("seed", range(2))
def test_property_where_sizes_are_one(name, check, seed):
    """Catches an axis of size 1 that is broadcast or squeezed away."""
    check(LAYERS[name](Seeded(seed, ones=True)), np.random.default_rng(seed))
