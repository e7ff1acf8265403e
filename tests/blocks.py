"""One block of a transformer, made of its settings: for tests that need a block and no model."""

from types import SimpleNamespace

import numpy as np

from tinytx.layers.init import uniform_fan_in
from tinytx.models.stacks import make_blocks
from tinytx.ops.attention_patterns import CAUSAL, FULL


def make_block(
    d_model, n_heads, d_ff, *, causal=False, norm_order="pre", dropout=0.0, activation="gelu_tanh", rng=None,
    dtype=np.float32, init=uniform_fan_in, **options,
):  # fmt: skip
    """Return a `Block`, or with ``reads_memory=True`` a `DecoderBlock`; other options are those of `make_blocks`."""
    config = SimpleNamespace(
        d_model=d_model, n_heads=n_heads, d_ff=d_ff, norm_order=norm_order, dropout=dropout, activation=activation
    )
    options |= {"rng": rng or np.random.default_rng(0), "dtype": dtype, "init": init}
    return make_blocks(config, 1, pattern=CAUSAL if causal else FULL, **options)[0]
