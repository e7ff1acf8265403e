"""Tokens that are decoded from folders, beside transformers' own ``generate``: greedy and beam search."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.oracle

from published import PAD, all_in_float64, batch_of, new  # noqa: E402

from tinytx.decoding import beam_search, greedy  # noqa: E402
from tinytx.hub import load  # noqa: E402

LONGER = {"gpt2": {"n_positions": 20}, "t5": {"num_layers": 1, "num_decoder_layers": 1}, "bart": {}, "marian": {}}
N = 6


def both(tmp_path, name, seed):
    """Return (prompts, our model, a token that ends some, function that returns ids and scores of their generate)."""
    theirs, (ids, *_) = new(name, seed=seed, **LONGER[name]), batch_of(name, seed=seed).ours
    theirs.save_pretrained(tmp_path)
    prompts = list(ids) if name != "gpt2" else [row[n:] for n, row in enumerate(ids)]  # of three lengths
    told = np.stack([np.pad(row, (ids.shape[1] - len(row), 0), constant_values=PAD) for row in prompts])
    seen = told != PAD if name != "gpt2" else np.arange(ids.shape[1]) >= np.arange(len(ids))[:, None]
    skip, ours = ids.shape[1] if name == "gpt2" else 1, load(tmp_path)
    stop = int(greedy(ours, prompts, 3, stop=()).ids[0, 2])

    def generate(**options):
        with all_in_float64(), torch.no_grad():
            found = theirs.generate(
                input_ids=torch.tensor(told), attention_mask=torch.tensor(seen).long(), max_new_tokens=N, do_sample=False,
                eos_token_id=stop, pad_token_id=PAD, use_cache=False, return_dict_in_generate=True, output_scores=True,
                **options,
            )  # fmt: skip
        return found.sequences.numpy()[:, skip:], found.get("sequences_scores")

    return prompts, ours, stop, generate


def filled(rows, width):
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=PAD)


@pytest.mark.parametrize("name", LONGER)
def test_greedy_tokens_are_theirs(tmp_path, name):
    """With stop tokens, and for GPT-2 prompts of several lengths, which theirs pads on the left and ours does not."""
    for seed in range(2):
        prompts, model, stop, generate = both(tmp_path, name, seed)
        ours = greedy(model, prompts, N, stop=stop, pad=PAD)
        np.testing.assert_array_equal(filled(ours.ids, N), filled(generate()[0], N))
        assert ours.ended.any()


@pytest.mark.parametrize("power", [0.0, 1.0])
@pytest.mark.parametrize("name", LONGER)
def test_the_best_of_a_beam_search_are_theirs(tmp_path, name, power):
    """Several answers with a length penalty: the same tokens, or better ones.

    Ours also considers the greedy sequence, which a beam may lose on its way: where that is among the best, ours scores
    higher.
    """
    n, n_same = 2, 0
    for seed in range(2):
        prompts, model, stop, generate = both(tmp_path, name, seed)
        ours = beam_search(model, prompts, N, beam_size=3, n_best=n, alpha=power, penalty="length", stop=stop, pad=PAD)
        ids, scores = generate(num_beams=3, num_return_sequences=n, length_penalty=power, early_stopping=True)
        rows, theirs = filled(ours.ids.reshape(len(prompts) * n, -1), N), filled(ids, N)
        scores = scores.numpy().reshape(-1, n)
        for row, same in enumerate((rows == theirs).reshape(len(prompts), n, N).all((1, 2))):
            n_same += same
            if same:
                np.testing.assert_allclose(ours.scores[row], scores[row], rtol=1e-5)
            else:
                assert (ours.scores[row] >= scores[row] - 1e-6).all() and ours.scores[row].sum() > scores[row].sum() + 1e-6
    assert n_same >= len(prompts)
