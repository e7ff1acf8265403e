"""word2vec: the mean of words, the loss in both forms beside its definition, its checkpoint and its errors."""

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx.core import Tape
from tinytx.data.huffman import huffman
from tinytx.models import Word2Vec, Word2VecConfig
from tinytx.tasks import NearbyWords
from tinytx.training import load_checkpoint, save_checkpoint


def model_of(tree=False):
    return MODEL_CASES["word2vec tree" if tree else "word2vec"](np.float64).task


def test_a_context_is_the_mean_of_its_words():
    """Catches a mean over places where there is no word; a row without a word is 0."""
    model = model_of()
    table = model.body.token.weight.data
    expected = [(table[3] + table[3] + table[7]) / 3, table[5], 0 * table[0]]
    vectors = model.body(np.array([[3, 7, -1, 3], [-1, -1, 5, -1], [-1, -1, -1, -1]]))
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-15)


def test_negative_sampling_is_its_definition():
    model = model_of()
    h, output = model.body(np.array([[3, 7]]))[0], model.output.data
    expected = -np.log(1 / (1 + np.exp(-h @ output[2]))) - sum(np.log(1 / (1 + np.exp(h @ output[j]))) for j in (4, 4, 0))
    loss = model.loss(np.array([[3, 7]]), np.array([[2, 4, -1, 4, 0]]), np.array([[1, 0, 0, 0, 0]]))
    assert loss == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("counts", [[5, 3, 9, 1, 1, 2, 7, 1, 30, 2, 1], [1] * 11], ids=str)
def test_probabilities_of_a_trees_words_add_up_to_1(counts):
    """Hierarchical softmax: catches a turn that is read as its opposite at some nodes, and a node that is left out."""
    model, (nodes, turns) = model_of(tree=True), huffman(np.array(counts))
    contexts = np.array([[3, 7, 2]])
    p = [np.exp(-model.loss(contexts, nodes[word : word + 1], turns[word : word + 1])) for word in range(11)]
    assert sum(p) == pytest.approx(1, rel=1e-13)


def test_each_word_of_a_mean_gets_its_share():
    """The gradient that word2vec.c leaves undivided (Irsoy, Benton and Stratos 2020, arXiv:2012.15332)."""
    model, tape = model_of(), Tape()
    model.loss(np.array([[3, 7, 3, 5]]), np.array([[2]]), np.array([[1]]), tape)
    model.loss_backward(tape)
    grad = model.body.token.weight.grad
    np.testing.assert_allclose(grad[3], 2 * grad[7], rtol=1e-14)
    one, tape = model_of(), Tape()
    mean = model.body(np.array([[3, 7, 3, 5]]))[0]
    one.body.token.weight.data[3] = mean
    one.loss(np.array([[3]]), np.array([[2]]), np.array([[1]]), tape)
    one.loss_backward(tape)
    np.testing.assert_allclose(grad[7] * 4, one.body.token.weight.grad[3], rtol=1e-13)


@pytest.mark.parametrize("tree", [False, True])
def test_a_checkpoint_holds_it(tmp_path, tree):
    model = model_of(tree)
    save_checkpoint(tmp_path, model)
    loaded, batch = load_checkpoint(tmp_path)[0], MODEL_CASES["word2vec"](np.float64).batch
    assert (type(loaded), loaded.tree, len(loaded.output.data)) == (NearbyWords, tree, 11 - tree)
    assert loaded.measure([batch, batch])["loss"] == pytest.approx(model.loss(*batch), rel=1e-14)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"Word2Vec: word 11 at position \(0, 1\) is outside 0\.\.10"):
        model_of().body(np.array([[0, 11]]))
    with pytest.raises(ValueError, match=r"Word2Vec: contexts have shape \(2,\), expected \(N, C\)"):
        model_of().body(np.array([0, 1]))
    with pytest.raises(ValueError, match=r"logistic_rows: row 10 at position \(0, 0\) is outside 0\.\.9"):
        model_of(tree=True).loss(np.array([[0]]), np.array([[10]]), np.array([[1]]))
    with pytest.raises(ValueError, match="Word2VecConfig: d_model is 0"):
        Word2Vec(Word2VecConfig(5, d_model=0), rng=np.random.default_rng(0))
