"""Small promises of the commands: what tells data apart, which exit code says what, which rate is the largest."""

import math

import numpy as np
import pytest

from tinytx.cli import main
from tinytx.data import PairBatch
from tinytx.layers import Linear
from tinytx.models import Transformer, TransformerConfig
from tinytx.recipes.pair_texts import _peak
from tinytx.recipes.rates import make_optimizer
from tinytx.recipes.settings import digest
from tinytx.recipes.transformer import SETTINGS
from tinytx.tasks import SequenceToSequence


def test_texts_that_are_cut_elsewhere_are_other_data():
    """Catches a digest of all texts in a row."""
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("c", "ab")}) == 4
    assert digest("ab", "c") == digest("ab", "c")


@pytest.mark.parametrize(("backward", "code"), [("dy * 2 * x", 0), ("dy * 3 * x", 1)])
@pytest.mark.parametrize("forward", ["x * x", "np.round(x * x, 3)"])
def test_only_a_pass_is_a_success(tmp_path, monkeypatch, capsys, forward, backward, code):
    """Catches INCONCLUSIVE, of a forward that is rounded, that exits as PASS does."""
    name = f"digests_{abs(hash((forward, backward)))}"
    text = f"import numpy as np\n\ndef f(x):\n    return {forward}, x\n\ndef f_backward(dy, x):\n    return {backward}\n"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["gradcheck", f"{name}:f", "--shapes", "3,4"]) == (code if "round" not in forward else 1)


@pytest.mark.parametrize("lr", [2e-3, 5e-4])
def test_the_rate_given_is_the_largest(lr):
    """Catches a factor where the peak is meant; both schedules rise to it."""
    settings = SETTINGS(schedule="inverse-sqrt", lr=lr, warmup=50, d_model=64, decay_steps=1000)
    layer = Linear(2, 2, rng=np.random.default_rng(0))
    optimizer = make_optimizer(layer, settings, peak=_peak(settings))
    assert math.isclose(max(optimizer.lr(step) for step in range(200)), lr, rel_tol=1e-12)


def test_padding_is_no_word_of_a_perplexity():
    """Catches a mean over all positions: beside the loss of the model without smoothing, some targets being short."""
    settings = {"d_model": 8, "n_heads": 2, "n_encoder_layers": 1, "n_decoder_layers": 1}
    body = Transformer(TransformerConfig(9, 9, **settings), rng=np.random.default_rng(0))
    model = SequenceToSequence(body, label_smoothing=0.0, loss_form="cross_entropy")
    source, target = np.full((2, 3), 5), np.array([[1, 6, 7, 8, 2], [1, 4, 2, 0, 0]])
    found = model.measure([PairBatch(source, target, np.arange(2))])["perplexity"]
    assert math.isclose(found, math.exp(model.loss(source, target)), rel_tol=1e-5)
