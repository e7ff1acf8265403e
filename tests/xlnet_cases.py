"""The case of XLNet: two streams, words of three segments, orders of their own; part of `model_cases.MODEL_CASES`."""

import numpy as np

from tinytx.models import XLNet, XLNetConfig
from tinytx.tasks import PermutedWords


def make_cases(case):
    """Return {name: function (dtype) -> ModelCase}; ``case`` is `model_cases.case`."""

    def xlnet(dtype, **options):
        small = {"segment": 7, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7}
        config = XLNetConfig(11, **small, dropout=0.2, attention_dropout=0.2, **options)
        rng = np.random.default_rng(2)
        order = rng.permuted(np.tile(np.arange(7), (4, 1)), axis=1)
        batch = rng.integers(0, 11, (4, 7)), order, np.sort(rng.integers(0, 3, (4, 7)))
        return case(PermutedWords, XLNet, config, batch, dtype, one_in=2)

    return {"xlnet": xlnet, "xlnet untied": lambda dtype: xlnet(dtype, tied_head=False)}
