"""Longformer beside transformers' ``LongformerForMaskedLM``: logits and every gradient, with global words and padding."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.oracle

from published import all_in_float64  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import Longformer, LongformerConfig  # noqa: E402
from tinytx.tasks import HiddenWords  # noqa: E402

V, D, H, L, F, B, T, PAD = 13, 6, 2, 2, 7, 3, 11, 1
NAMES = {
    "body.encoder.token": "longformer.embeddings.word_embeddings",
    "body.encoder.segment": "longformer.embeddings.token_type_embeddings",
    "body.encoder.place": "longformer.embeddings.position_embeddings",
    "body.encoder.embedding_norm": "longformer.embeddings.LayerNorm",
    "transform.linear": "lm_head.dense",
    "transform.norm": "lm_head.layer_norm",
    "head": "lm_head",
}
IN_BLOCK = {
    **{f"attention.f.{name}": f"attention.self.{name}" for name in ("query", "key", "value", "query_global", "key_global", "value_global")},
    "attention.f.output": "attention.output.dense",
    "attention.norm": "attention.output.LayerNorm",
    "feed_forward.f.expand": "intermediate.dense",
    "feed_forward.f.contract": "output.dense",
    "feed_forward.norm": "output.LayerNorm",
}


def name_of(path):
    """Return transformers' name of one of our parameters."""
    layer, _, leaf = path.rpartition(".")
    if layer not in NAMES:
        number, _, inside = layer.removeprefix("body.encoder.blocks.").partition(".")
        return f"longformer.encoder.layer.{number}.{IN_BLOCK[inside]}.{leaf}"
    return f"{NAMES[layer]}.{leaf}"


def both(windows, **options):
    """Return our task and their model, with the same random parameters."""
    config = transformers.LongformerConfig(
        vocab_size=V, hidden_size=D, num_attention_heads=H, num_hidden_layers=L, intermediate_size=F, attention_window=list(windows),
        max_position_embeddings=T + PAD + 1, type_vocab_size=1, pad_token_id=PAD, layer_norm_eps=1e-5,
    )  # fmt: skip
    theirs = transformers.LongformerForMaskedLM(config).double().eval()
    sizes = {"max_len": T, "d_model": D, "n_heads": H, "n_layers": L, "d_ff": F, "dropout": 0.0}
    ours = LongformerConfig(V, **sizes, windows=",".join(map(str, windows)), **options)
    task = HiddenWords.around(Longformer, ours, rng=np.random.default_rng(0), dtype=np.float64)
    known, rng = dict(theirs.named_parameters()), np.random.default_rng(1)
    with torch.no_grad():
        for path, parameter in task.named_parameters():
            parameter.data[...] = rng.normal(size=parameter.data.shape) * 0.5
            known[name_of(path)].copy_(torch.tensor(as_theirs(path, parameter.data)))
    return task, theirs


def as_theirs(path, array):
    """Their linear maps are (out, in); tables are as ours."""
    return array if path.rpartition(".")[0].endswith(("token", "segment", "place")) else array.T


@pytest.mark.parametrize("windows", [(4, 8), (8, 4), (24, 24)])
def test_equals_transformers(windows):
    """Windows below and above T (theirs fails with one of 2); in the three texts 2, 0 and 3 global words, of which one is padding, which is not global."""
    rng = np.random.default_rng(2)
    ids, is_global = rng.integers(2, V, (B, T)), np.zeros((B, T), bool)
    ids[2, T - 3 :] = PAD
    is_global[0, [0, 7]] = is_global[2, [2, 3, T - 1]] = True
    words, targets = ids != PAD, np.where(ids != PAD, rng.integers(0, V, (B, T)), -100)
    with all_in_float64():
        task, theirs = both(windows)
        found = theirs(
            torch.tensor(ids), attention_mask=torch.tensor(words).long(), global_attention_mask=torch.tensor(is_global).long(),
            labels=torch.tensor(targets),
        )  # fmt: skip
        found.loss.backward()
    tape = Tape()
    loss = task.loss(ids, targets, tape=tape, is_global=is_global)
    task.loss_backward(tape)
    logits = task.word_logits(task.body(ids, is_global=is_global))
    np.testing.assert_allclose(logits[words], found.logits.detach().numpy()[words], rtol=0, atol=1e-10)
    assert abs(loss - found.loss.item()) < 1e-10
    gradients = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters() if parameter.grad is not None}
    for path, parameter in task.named_parameters():
        expected = as_theirs(path, gradients[name_of(path)])
        kept = np.ones(len(parameter.grad), bool)
        if path.endswith(("token.weight", "place.weight")):
            kept[PAD] = False  # theirs has no gradient by decree, also where the output layer reads the table
        np.testing.assert_allclose(parameter.grad[kept], expected[kept], rtol=0, atol=1e-10, err_msg=path)


def test_first_words_and_questions_are_global_as_theirs():
    """What their classes for texts and for questions make global by themselves."""
    from transformers.models.longformer.modeling_longformer import _compute_global_attention_mask

    from tinytx.models.longformer import global_words

    ids = np.array([[0, 7, 9, 2, 2, 8, 2], [0, 5, 2, 2, 9, 9, 2]])
    config = LongformerConfig(V, d_model=D, n_heads=H, n_layers=L, global_words="question", mark_id=2)
    expected = _compute_global_attention_mask(torch.tensor(ids), 2).numpy().astype(bool)
    np.testing.assert_array_equal(global_words(ids, config), expected)
