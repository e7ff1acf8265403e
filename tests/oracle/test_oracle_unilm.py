"""UniLM beside transformers' ``BertForMaskedLM`` under a mask for each row: logits and every gradient."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.oracle

from model_cases import unilm  # noqa: E402
from published import all_in_float64  # noqa: E402
from test_oracle_hub import assert_close, assert_equal_gradients  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.hub import load  # noqa: E402
from tinytx.models import Bert, BertConfig  # noqa: E402
from tinytx.tasks import HiddenWords  # noqa: E402


def test_three_masks_are_theirs(tmp_path):
    """Their BERT reads the same rows with 4-D masks: zeros, and -inf where a word sees nothing."""
    task, (ids, targets, segments, prefix) = unilm(np.float64)
    config = BertConfig(**{field.name: getattr(task.config, field.name) for field in dataclasses.fields(BertConfig)})
    bert = HiddenWords.around(Bert, config, rng=np.random.default_rng(0), dtype=np.float64)
    bert.load_state_dict(task.state_dict())
    bert.save_pretrained(tmp_path)
    bert, tape = load(tmp_path), Tape()
    loss = task.loss(ids, targets, segments, prefix, tape)
    task.loss_backward(tape)
    for own, other in zip(task.parameters(), bert.parameters(), strict=True):
        other.grad = own.grad
    places = np.arange(ids.shape[1])
    seen = (places < prefix[:, None, None]) | (places <= places[:, None])
    seen &= (ids != config.pad_id)[:, None, :]
    with all_in_float64():
        theirs = transformers.BertForMaskedLM.from_pretrained(tmp_path, dtype=torch.float64, attn_implementation="eager").eval()
        found = theirs(
            input_ids=torch.tensor(ids), token_type_ids=torch.tensor(segments), labels=torch.tensor(targets),
            attention_mask=torch.tensor(np.where(seen, 0.0, -np.inf))[:, None],
        )  # fmt: skip
        found.loss.backward()
    logits, words = task(ids, segments=segments, prefix=prefix), ids != config.pad_id
    assert_close(logits[words], found.logits.detach().numpy()[words], 1e-10, "logits")
    assert loss == pytest.approx(found.loss.item(), rel=1e-10)
    assert_equal_gradients(bert, theirs, np.float64)
