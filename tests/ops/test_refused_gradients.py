"""A dy of another shape than y is an error, and never a kernel that reads or writes past an array's end."""

import numpy as np
import pytest
from cases import Seeded
from op_cases import OPS

# A loss has a number as its dy; for a dropout and for positions any rows are right.
OTHERS = ("cross_entropy", "linear_cross_entropy", "kl_divergence", "tsne", "dropout", "add_positions")
NAMES = [name for name in OPS if not name.startswith(OTHERS)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [np.s_[:1], np.s_[..., :1], np.s_[:0]], ids=["one row", "one column", "nothing"])
def test_gradient_of_another_shape_is_refused(name, part):
    case = OPS[name](Seeded(0))
    y, saved = case.forward(case.arrays)
    with pytest.raises(ValueError):
        case.backward(y[part], saved)
