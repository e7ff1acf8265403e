"""Heads of fine-tuning on BERT beside transformers' ``BertForSequenceClassification``, ``...TokenClassification``, ``...QuestionAnswering``."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.oracle

from cases import signs  # noqa: E402
from test_oracle_bert import (  # noqa: E402
    NAMES,
    PAD,
    RTOL,
    V,
    assert_close,
    assert_equal_gradients,
    batch_of,
    randomised,
    take_weights,
)

from tinytx.core import Tape  # noqa: E402
from tinytx.models import Bert, BertConfig  # noqa: E402
from tinytx.tasks import Spans, Tags, TextClasses  # noqa: E402

N = 5
HEADS = {  # task: (theirs, names of its head, settings, what it is asked, under transformers' names)
    TextClasses: (
        "BertForSequenceClassification", {"bert.pooler.dense": "head.pooler", "classifier": "head.classifier"},
        {"n_classes": 3}, {"labels": np.array([2, 0, -100, 1, 1])},
    ),
    Tags: ("BertForTokenClassification", {"classifier": "head"}, {"n_classes": 3}, {"labels": batch_of()[0] % 4 - 1}),
    Spans: (
        "BertForQuestionAnswering", {"qa_outputs": "head"}, {},
        {"start_positions": np.array([2, 0, 3, 1, 0]), "end_positions": np.array([4, 0, 3, 2, 1])},
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("kind", HEADS, ids=lambda kind: kind.__name__)
def test_heads_equal_transformers(kind, dtype):
    """Logits, loss, and every gradient of a random dlogits; transformers lets answers start at padding, so Spans has none."""
    theirs, names, settings, asked = HEADS[kind]
    config = BertConfig(V, max_len=14, d_model=12, n_heads=3, n_layers=2, d_ff=20, dropout=0.0, pad_id=PAD)
    model = randomised(kind.around(Bert, config, rng=np.random.default_rng(0), settings=settings, dtype=dtype))
    oracle = getattr(transformers, theirs)(transformers.BertConfig(
        vocab_size=V, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20, num_labels=3 if settings else 2,
        max_position_embeddings=14, pad_token_id=PAD, attn_implementation="eager",
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )).to(torch.float64 if dtype == np.float64 else torch.float32)  # fmt: skip
    names = {name: ours for name, ours in NAMES.items() if name.startswith("bert.") and "pooler" not in name} | names
    take_weights(oracle, model, names)
    ids, _, segments, _ = batch_of()
    ids = np.where(ids == PAD, 6, ids) if kind is Spans else ids
    asked = {name: np.where(labels < 0, -100, labels) for name, labels in asked.items()}
    out = oracle(
        input_ids=torch.tensor(ids), attention_mask=torch.tensor(ids != PAD).long(), token_type_ids=torch.tensor(segments),
        **{name: torch.tensor(labels) for name, labels in asked.items()},
    )  # fmt: skip
    logits = torch.stack([out.start_logits, out.end_logits], -1) if kind is Spans else out.logits
    expected, tape = logits.detach().numpy(), Tape()
    seen = (ids != PAD)[..., None] if expected.ndim == 3 else True  # what stands at a padded position, nobody asks
    actual = model(ids, tape, segments=segments)
    assert_close(np.where(seen, actual, 0), np.where(seen, expected, 0), RTOL[dtype], "logits")
    assert model.loss(ids, *asked.values(), segments) == pytest.approx(out.loss.item(), rel=RTOL[dtype])
    dlogits = (signs(np.random.default_rng(1), expected.shape) * seen).astype(dtype)
    logits.backward(torch.tensor(dlogits))
    model.backward(dlogits, tape)
    tape.check_empty()
    assert_equal_gradients(model, oracle, names, RTOL[dtype])
