"""UniLM: under each mask every output depends on the words that it may see, and on no other; decoders work on one stack."""

import numpy as np
import pytest
from model_cases import UNILM, unilm

from tinytx.decoding import beam_search, generate, greedy, sample
from tinytx.models import Unilm, UnilmConfig
from tinytx.tasks import UnifiedWords

T, PAD = 7, UNILM["pad_id"]


def model_of(**options):
    """A float64 task, every parameter random."""
    return unilm(np.float64, dropout=0.0, **options).task


@pytest.mark.parametrize("n", [0, 1, 3, T - 1, T])
@pytest.mark.parametrize("n_words", [T, T - 2])
def test_no_mask_leaks(n, n_words):
    """Change word j, and see which outputs move, for every pair: those that see it, and no other in a single bit.

    The other rows of the batch have other masks. Catches a prefix of another row, padding that is seen, a mask that only
    the first block has.
    """
    model, rng = model_of(), np.random.default_rng(0)
    ids = rng.choice([7, 8, 9, 10], (3, T))
    ids[1, n_words:] = PAD
    segments, prefix = np.tile([3, 3, 3, 4, 4, 4, 4], (3, 1)), np.array([T, n, 0])
    before = model(ids, segments=segments, prefix=prefix)
    for j in range(n_words):
        changed = ids.copy()
        changed[1, j] = 11
        moved = (model(changed, segments=segments, prefix=prefix) != before).any(axis=-1)  # (3, T)
        t = np.arange(n_words)
        np.testing.assert_array_equal(moved[1, :n_words], (j < n) | (j <= t), err_msg=f"word {j}")
        assert not moved[[0, 2]].any()


def test_without_a_prefix_it_is_a_bert():
    model, ids = model_of(), np.random.default_rng(0).choice([7, 8, 9], (2, T))
    np.testing.assert_array_equal(model(ids, prefix=np.array([T, T])), model(ids))
    with pytest.raises(ValueError, match="Prefix: length has 3 numbers, expected one for each of 2 rows"):
        model(ids, prefix=np.array([1, 2, 3]))
    with pytest.raises(ValueError, match="segment 5"):
        model(ids, segments=np.full_like(ids, 5))


def said_after(model, source, words):
    """Return the logits (V,) of the word after some of a target, from the whole row without a state."""
    config = model.config
    ids = np.concatenate([[config.start_id], source, [config.stop_id], words, [config.mask_id]]).astype(np.int64)
    n = len(source) + 2
    return model(ids[None], segments=np.where(np.arange(len(ids)) < n, 3, 4)[None], prefix=np.array([n]))[0, -1]


SOURCES = [np.array(source) for source in ([7, 8], [9, 10, 7, 11, 8], [11], [8, 8])]


def log_prob(model, source, ids):
    """Return ln p(ids | source), word by word, without a state."""
    total = 0.0
    for t, word in enumerate(ids):
        logits = said_after(model, source, ids[:t])
        total += logits[word] - logits.max() - np.log(np.exp(logits - logits.max()).sum())
    return total


@pytest.mark.parametrize(("positions", "stop"), [("learned", 1), ("counted", 9)])
def test_decoders_say_what_the_whole_row_says(positions, stop):
    """Catches keys of a mask token that stay, a source that is read left to right, and positions that are one off."""
    model, rng = model_of(positions=positions, norm_order="pre", d_model=16, d_ff=12), np.random.default_rng(22)
    for parameter in model.parameters():  # what is said differs from source to source
        parameter.data[...] = rng.normal(size=parameter.data.shape) * (1 if parameter.data.ndim == 1 else 0.5)
    model.head.bias.data[...] = 0
    decoded = greedy(model, SOURCES, 5, stop=stop)
    assert len({*map(tuple, decoded.ids.tolist())}) > 2 and len(set(decoded.lengths.tolist())) > 1, "some end, and some do not"
    for row, source in enumerate(SOURCES):
        ids = decoded.ids[row, : decoded.lengths[row]]
        for t, word in enumerate(ids):
            assert said_after(model, source, ids[:t]).argmax() == word
        assert decoded.log_probs[row] == pytest.approx(log_prob(model, source, ids), abs=1e-12)
        np.testing.assert_array_equal(greedy(model, source[None], 5, stop=stop).ids[0], ids)
    drawn = sample(model, SOURCES, 5, stop=stop, rng=np.random.default_rng(0))
    found = beam_search(model, SOURCES, 5, beam_size=3, n_best=2, stop=stop)
    assert (found.log_probs[:, 0] >= decoded.log_probs - 1e-12).all()
    for row, source in enumerate(SOURCES):
        assert drawn.log_probs[row] == pytest.approx(log_prob(model, source, drawn.ids[row, : drawn.lengths[row]]), abs=1e-12)
        for ids, n, expected in zip(found.ids[row], found.lengths[row], found.log_probs[row]):
            assert log_prob(model, source, ids[:n]) == pytest.approx(expected, abs=1e-12)


def test_room():
    """The mask token needs a position of its own; a source never becomes a part of the target."""
    model = model_of(n_layers=1)
    assert model.config.max_len == 12
    whole = greedy(model, SOURCES[:1], None, stop=())
    assert whole.ids.shape == (1, 8), "start, 2 words, stop; 7 words said that are read, one that is not; the mask token's place"
    np.testing.assert_array_equal(np.stack(list(generate(model, SOURCES[:1], 8, temperature=0, stop=())), axis=1), whole.ids)
    for ask in (lambda n: greedy(model, SOURCES[:1], n), lambda n: list(generate(model, SOURCES[:1], n, temperature=0))):
        with pytest.raises(ValueError, match="n_tokens is 9, but after 4 tokens the model's max_len 11 leaves room for 8: ask for fewer$"):
            ask(9)


def test_measures_of_each_way():
    """Catches rows counted in another way than theirs, and a way that does not occur."""
    case = unilm(np.float64)
    task, (ids, targets, segments, prefix) = case
    measured, right = task.measure([case.batch]), {}
    logits = task(ids, segments=segments, prefix=prefix)
    names = {0: "both_ways", 2: "left_to_right", 3: "sequence_to_sequence"}
    for row, t in np.argwhere(targets >= 0).tolist():
        right.setdefault(names[segments[row, 0]], []).append(logits[row, t].argmax() == targets[row, t])
    assert len(right) == 3
    assert {name: measured[name] for name in right} == {name: np.mean(of_way) for name, of_way in right.items()}
    assert measured["perplexity"] == pytest.approx(np.exp(task.loss(*case.batch)), rel=1e-12)
    assert "both_ways" not in task.measure([tuple(array[segments[:, 0] != 0] for array in case.batch)])


def test_special_ids_differ():
    with pytest.raises(ValueError, match="UnilmConfig: mask_id is 2, and so is stop_id"):
        UnilmConfig(20, mask_id=2)


def test_one_stack_learns_to_reverse():
    """Trained under the three masks at once; then its decoder writes what was learned."""
    from tinytx.data import hidden_three_ways
    from tinytx.training import AdamW, Trainer

    rng = np.random.default_rng(0)
    config = UnilmConfig(12, max_len=12, d_model=32, n_heads=4, n_layers=2, dropout=0.0, norm_order="pre")
    model = UnifiedWords.around(Unilm, config, rng=rng)
    sources = rng.integers(5, 12, (16, 4))
    target = np.pad(sources[:, ::-1], ((0, 0), (1, 1)), constant_values=((0, 0), (1, 2)))
    trainer = Trainer(model, AdamW(model, 3e-3), threads=1)
    for step in range(150):
        draw = np.random.default_rng(step)
        trainer.step(*hidden_three_ways(sources, target, rng=draw, pad_id=0, mask_id=4, shares=(0.2, 0.2, 0.6)))
    assert (greedy(model, sources, 5).ids == target[:, 1:]).mean() > 0.9
