"""T5, both versions, beside transformers' ``T5ForConditionalGeneration``: logits, loss and every gradient; runs as folders."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")
F = torch.nn.functional
pytestmark = pytest.mark.oracle

from model_cases import MODEL_CASES  # noqa: E402
from published import all_in_float64  # noqa: E402
from sizes import Untold, n_parameters  # noqa: E402
from test_oracle_hub import assert_close, assert_equal_gradients  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.decoding import greedy  # noqa: E402
from tinytx.hub import load  # noqa: E402
from tinytx.models import T5, T5Config  # noqa: E402
from tinytx.training import load_checkpoint  # noqa: E402


def theirs_of(folder, dtype=torch.float64):
    """Return their model of a folder, without dropout."""
    model = transformers.T5ForConditionalGeneration.from_pretrained(folder, dtype=dtype)
    return model.eval()


@pytest.mark.parametrize("name", [name for name in MODEL_CASES if name.startswith("t5")])
def test_t5_is_theirs(tmp_path, name):
    task, (source, target) = MODEL_CASES[name](np.float64)
    task.save_pretrained(tmp_path)
    task, tape, labels = load(tmp_path), Tape(), torch.tensor(target[:, 1:])
    loss = task.loss(source, target, tape)
    task.loss_backward(tape)
    with all_in_float64():
        theirs = theirs_of(tmp_path)
        logits = theirs(
            input_ids=torch.tensor(source),
            attention_mask=torch.tensor(source != task.config.pad_id),
            decoder_input_ids=torch.tensor(target[:, :-1]),
        ).logits
        expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=task.config.pad_id)
        expected.backward()
    assert_close(task(source, target[:, :-1]), logits.detach().numpy(), 1e-11, "logits")
    assert abs(loss - expected.item()) < 1e-11
    assert_equal_gradients(task, theirs, np.float64)


@pytest.mark.parametrize("recipe", ["t5_text"])
def test_what_the_recipes_make_is_read_by_transformers(tmp_path, recipe, trained):
    """A run as a folder: the same logits, and the same texts; and read again, the same model."""
    task, *_ = load_checkpoint(trained(recipe)[0])
    task.save_pretrained(tmp_path)
    again, theirs = load(tmp_path), theirs_of(tmp_path, torch.float32)
    config, rng = task.config, np.random.default_rng(0)
    assert again.config.scales_head == config.scales_head
    assert replace(again.config, scaled_head=config.scaled_head) == config
    source, target = rng.integers(5, config.vocab_size, (3, 6)), rng.integers(5, config.vocab_size, (3, 4))
    np.testing.assert_array_equal(again(source, target), task(source, target))
    with torch.no_grad():
        logits = theirs(input_ids=torch.tensor(source), decoder_input_ids=torch.tensor(target)).logits.numpy()
        said = theirs.generate(torch.tensor(source), max_new_tokens=7, num_beams=1).numpy()[:, 1:]
    assert_close(task(source, target), logits, 1e-5, "logits")
    np.testing.assert_array_equal(greedy(task, source, 7).ids, said)


def test_sizes_of_the_published_models():
    """T5 small, by its number of parameters; catches a matrix too many."""
    small = T5Config(32128)
    assert n_parameters(T5(small, rng=Untold())) == 60_506_624
