"""The head that aligns: whose scores they are, what they see, which rows count, and that translation stays as it was."""

import numpy as np
import pytest
from model_cases import aligned_transformer
from transformer_cases import PAD, START, STOP, config_of

from tinytx.core import Tape
from tinytx.layers import DotProduct, Embedding
from tinytx.models import AlignedTransformer, AlignedTransformerConfig, Transformer
from tinytx.ops.attention_patterns import FULL
from tinytx.tasks import AlignedSequenceToSequence, SequenceToSequence
from tinytx.tasks.aligned_sequence_to_sequence import link_shares
from tinytx.viz import attention_maps

CAUSAL = {"full_context": False}


def case_of(**options):
    return aligned_transformer(np.float64, **options)


@pytest.mark.parametrize("options", [{}, {"aligned_layer": 1, "aligned_head": 1}, {"norm_order": "pre"}])
def test_the_weights_are_those_of_this_head(options):
    """In the causal variant they are what the decoder itself computes. Catches another layer or head, and a norm too many."""
    task, (source, target, _) = case_of(**CAUSAL | options)
    config, body = task.config, task.body
    path = f"decoder.blocks.{config.aligned_layer or 0}.cross_attention.f"
    expected = attention_maps(body, source, target[:, :-1])[path][:, config.aligned_head]
    np.testing.assert_allclose(body.alignment(source, target[:, :-1]), expected, rtol=1e-12, atol=1e-15)


def test_with_the_full_context_they_are_those_of_a_decoder_without_the_mask():
    task, (source, target, _) = case_of(aligned_layer=1)
    found = task.body.alignment(source, target[:, :-1])
    for block in task.body.decoder.blocks:
        block.attention.f.core = DotProduct(pattern=FULL)
    expected = attention_maps(task.body, source, target[:, :-1])["decoder.blocks.1.cross_attention.f"][:, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


def test_who_sees_later_words():
    """Translation never does. The scores do with the full context, and only with it."""
    for options, sees in (({}, True), (CAUSAL, False)):
        task, (source, target, _) = case_of(**options)
        other = target[:, :-1].copy()
        other[:, 3] = np.where(other[:, 3] == 5, 7, 5)
        x, scores = task.body(source, target[:, :-1], aligned=True)
        other_x, other_scores = task.body(source, other, aligned=True)
        np.testing.assert_array_equal(x[:, :3], other_x[:, :3])
        assert (scores[:, :3] != other_scores[:, :3]).any() == sees


def test_translation_is_the_transformers():
    """The same parameters under the same names, and the same vectors."""
    body, (source, target, _) = case_of().task.body, case_of().batch
    plain = Transformer(config_of(), rng=np.random.default_rng(0), dtype=np.float64)
    assert [path for path, _ in plain.named_parameters()] == [path for path, _ in body.named_parameters()]
    plain.load_state_dict(body.state_dict())
    np.testing.assert_array_equal(body(source, target[:, :-1]), plain(source, target[:, :-1]))
    np.testing.assert_array_equal(body(source, target[:, :-1], aligned=True)[0], plain(source, target[:, :-1]))


def test_the_loss_is_the_sum_of_both():
    """Row by row and word by word, of the words that have links; divided by all words. Without links, the words' alone."""
    task, (source, target, links) = case_of()
    words = SequenceToSequence(task.body, **{k: v for k, v in task.settings.items() if k != "alignment_weight"}).loss(source, target)
    weights = task.body.alignment(source, target[:, :-1])
    by_hand = -sum(g * np.log(weights[at]) for at, g in np.ndenumerate(links) if g)
    assert links.sum() == 5 and task.count(source, target, links) == 12
    np.testing.assert_allclose(task.loss(source, target, links), words + 0.7 * by_hand / 12, rtol=1e-12)
    np.testing.assert_allclose(task.loss(source, target), words, rtol=1e-12)


def test_nothing_is_computed_twice(monkeypatch):
    """A second pass only for links with a weight; without the full context, each layer of the decoder once."""
    calls, embed = [], Embedding.forward
    monkeypatch.setattr(Embedding, "forward", lambda layer, *inputs, **settings: calls.append(layer) or embed(layer, *inputs, **settings))
    for options, weight, given, n in (({}, 0.7, 3, 2), ({}, 0.7, 2, 1), ({}, 0.0, 3, 1), (CAUSAL, 0.7, 3, 1)):
        task, batch = case_of(**options)
        task, tape = AlignedSequenceToSequence(task.body, **task.settings | {"alignment_weight": weight}), Tape()
        task.loss(*batch[:given], tape=tape)
        task.loss_backward(tape)
        tape.check_empty()
        assert calls.count(task.body.decoder.token) == n + 1  # the source has the same table
        calls.clear()


def test_parts_of_a_batch_add_up():
    """A part whose words have no link, too."""
    task, (source, target, links) = case_of()
    links[0] = 0
    n, tape = task.count(source, target, links), Tape()
    task.loss(source, target, links, tape)
    task.loss_backward(tape)
    whole = [parameter.grad.copy() for parameter in task.parameters()]
    task.zero_grad()
    total = 0.0
    for row in range(3):
        total += task.loss(*(array[row : row + 1] for array in (source, target, links)), tape, count=n)
        task.loss_backward(tape)
    np.testing.assert_allclose(total, task.loss(source, target, links), rtol=1e-12)
    for parameter, expected in zip(task.parameters(), whole):
        np.testing.assert_allclose(parameter.grad, expected, rtol=1e-9, atol=1e-12)


def test_links_of_words_alone():
    """Neither the start, nor the stop, nor padding has a link: 4, 3 and 2 words."""
    task, (source, target, _) = case_of()
    assert [(row != PAD).sum() for row in target] == [6, 5, 4] and (target[:, 0] == START).all() and target[0, 5] == STOP
    found, best = task.align(source, target), task.body.alignment(source, target[:, :-1]).argmax(axis=2)
    assert [sorted(links) for links in found] == [sorted((best[b, t], t) for t in range(n)) for b, n in enumerate((4, 3, 2))]


def test_measures():
    """The links of the head itself have no error; a word with a second link has one that is not found."""
    task, (source, target, _) = case_of()
    links = task.align(source, target)
    own = link_shares(links, (3, 5, 8))
    assert task.measure([(source, target, own)])["alignment_error_rate"] == 0
    more = [row | {((next(s for s, t in row if t == 0) + 1) % 6, 0)} for row in links]
    rate = task.measure([(source, target, link_shares(more, (3, 5, 8)))])["alignment_error_rate"]
    np.testing.assert_allclose(rate, 1 - 2 * 9 / (9 + 12), rtol=1e-12)


def test_what_is_refused():
    sizes = vars(config_of())
    with pytest.raises(ValueError, match=r"aligned_layer is 2, expected 0..1: there are 2 blocks"):
        AlignedTransformerConfig(**sizes, aligned_layer=2)
    with pytest.raises(ValueError, match=r"aligned_head is 2, expected 0..1: there are 2 heads"):
        AlignedTransformerConfig(**sizes, aligned_head=2)
    for n_layers, expected in ((1, 1), (3, 2)):
        config = AlignedTransformerConfig(**sizes | {"n_decoder_layers": n_layers})
        assert len(AlignedTransformer(config, rng=np.random.default_rng(0)).aligner.scores.blocks) == expected
    task, (source, target, links) = case_of()
    with pytest.raises(ValueError, match="soft_cross_entropy: distribution is 1 at .*, where mask is False"):
        task.loss(source, target, links[:, :, ::-1])
