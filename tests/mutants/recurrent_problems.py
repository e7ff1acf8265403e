"""More problems for `by_gradcheck`: recurrent operations and layers."""

import numpy as np

from mutants.problems import MASK, D, F, _draw, _rng, _sampled, layer, pair
from tinytx import layers
from tinytx.layers import ActivationPenalty, DotProduct, Linear
from tinytx.models import AwdLSTM, AwdLSTMConfig, ElmoConfig, PointerConfig
from tinytx.ops.gru import CELL as GRU
from tinytx.ops.lstm import CELL as LSTM
from tinytx.ops.mlstm import CELL as MLSTM
from tinytx.ops.original_gru import CELL as ORIGINAL_GRU
from tinytx.ops.recurrent import biased_parts
from tinytx.ops.rnn import CELL as RNN
from tinytx.tasks import AlignedSequenceToSequence, NextToken, Pointers
from tinytx.tasks.aligned_sequence_to_sequence import link_shares
from tinytx.testing.problem import Loss


def arrays_of(cell):
    """Two rows of three positions of five numbers, four units."""
    parts, biases, states = cell.parts, len(cell.biases), len(cell.states)
    arrays = [_draw(*shape) for shape in ((2, 3, 5), (5, 4 * parts), (4, 4 * parts))]
    return arrays + [_draw(4 * biased_parts(cell), seed=n) for n in range(biases)] + [_draw(2, 4, seed=n) for n in range(states)]


def along(m, cell, reverse=False):
    """A cell that goes along a sequence with padding, by the changed `tinytx.ops.recurrent`."""
    biases = len(cell.biases)

    def forward(x, weight_x, weight_h, *others):
        return m.forward(cell, x, weight_x, weight_h, others[:biases], others[biases:], MASK[:2, :3], reverse)

    return pair(forward, lambda dy, saved: m.backward(cell, dy, saved), *arrays_of(cell))


def begun(made, n_states):
    """A layer that begins with a state and puts out the one that it ends with."""
    others = [_draw(2, F, seed=n) for n in range(n_states)]
    return layer(made, 2, 3, D, others=others, mask=MASK[:2, :3], final=True)


def additive(m, groups, s):
    return layer(m.Additive(2, D, rng=_rng()), 2, 2, 3, D, others=[_draw(2, groups, s, D, seed=n) for n in (1, 2)])


def pointer_network(m):
    """The loss of some positions of each row; elements before have scores of -inf."""
    body = m.PointerNetwork(PointerConfig(n_features=2, d_model=D), rng=_rng())
    return layer(Loss(Pointers(body)), 2, 4, 2, others=[np.array([[3, 0, 2], [1, 2, 0]])])


def address(m):
    """Two heads, four rows of three numbers; weights of the step before are positive."""
    heads = [_draw(2, 2, seed=n) for n in range(3)]
    k, before, memory = _draw(2, 2, 3), np.exp(_draw(2, 2, 4)), _draw(2, 4, 3)
    return pair(m.address, m.address_backward, k, heads[0], heads[1], _draw(2, 2, 3, seed=1), heads[2], before, memory)


def awd_lstm(m):
    """The loss of a text, with its penalties and all its dropouts."""
    rates = dict.fromkeys(("word_dropout", "input_dropout", "hidden_dropout", "dropout", "weight_drop"), 0.2)
    config = AwdLSTMConfig(4, d_model=2, n_layers=1, alpha=0.7, beta=0.4, **rates)
    kind = getattr(m, "AwdLSTM", AwdLSTM)
    body = kind(config, rng=_rng())
    body.penalty = getattr(m, "ActivationPenalty", ActivationPenalty)(0.7, 0.4)
    ids = np.array([[1, 3, 0], [2, 2, 1]])
    return layer(Loss(NextToken(body)), x=ids, others=[np.roll(ids, -1, axis=1)], seed=3)


def aligned_transformer(m, **options):
    """Both losses; the second is large, so that its gradients are."""
    config = m.AlignedTransformerConfig(7, 7, d_model=4, n_heads=2, d_ff=5, n_encoder_layers=1, **{"n_decoder_layers": 1} | options, dropout=0.0)
    task = AlignedSequenceToSequence.around(m.AlignedTransformer, config, rng=_rng(), dtype=np.float64, settings={"alignment_weight": 2.0})
    source, target = np.array([[3, 4, 5], [6, 3, 0]]), np.array([[1, 3, 4, 2], [1, 5, 2, 0]])
    links = link_shares([{(0, 0), (2, 0), (1, 1)}, {(1, 0)}], (2, 3, 3), np.float64)
    return _sampled(layer(Loss(task), x=source, others=[target], links=links))


def in_loop(m, kind, *combine):
    """Attention in the loop of two GRUs."""
    cells = layers.RecurrentStack([layers.GRU(2 * D, D, rng=_rng()), layers.GRU(D, D, rng=_rng())])
    maps = (Linear(D, D, rng=_rng()) for _ in range(2))
    attention = layers.SingleHeadAttention(layers.Additive(1, D, rng=_rng()), **dict(zip(("query", "key"), maps)))
    others = [_draw(2, 4, D, seed=1), _draw(2, D, seed=2), _draw(2, D, seed=3)]
    return _sampled(layer(getattr(m, kind)(cells, attention, *combine), 2, 3, D, others=others))


SHARES = np.array([[0.5, 0.25, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.5, 0.0]])
BITS = np.array([[1, 0, -100], [0, 1, 1]])
PROBLEMS = {
    "address": address,
    "scalar_mix": lambda m: pair(m.scalar_mix, m.scalar_mix_backward, _draw(2, 3, 4), _draw(3), _draw(1) + 2),
    "ScalarMix": lambda m: layer(m.ScalarMix(3), 2, 3, 4),
    "Elmo": lambda m: layer(m.Elmo(ElmoConfig(7, d_model=6, dropout=0.0), rng=_rng()), x=np.array([[5, 6, 1, 0], [2, 1, 6, 3]])),
    "ExternalMemory": lambda m: layer(m.ExternalMemory(2, 3, 4, 3, rng=_rng()), 2, 3, 2),
    "read_memory square": lambda m: pair(m.read_memory, m.read_memory_backward, _draw(2, 3, 3), _draw(2, 3, 3, seed=1)),
    "write_memory": lambda m: pair(m.write_memory, m.write_memory_backward, _draw(2, 4, 3), _draw(2, 4), _draw(2, 3), _draw(2, 3, seed=1)),
    "binary_cross_entropy": lambda m: pair(
        lambda x: m.binary_cross_entropy(x, BITS), m.binary_cross_entropy_backward, _draw(2, 3)
    ),
    "soft_cross_entropy": lambda m: pair(
        lambda x: m.soft_cross_entropy(x, SHARES, np.arange(4) < 3), m.soft_cross_entropy_backward, _draw(3, 4)
    ),
    "product_scores": lambda m: pair(m.product_scores, m.product_scores_backward, _draw(2, 4, 3), _draw(2, 5, 3, seed=1)),
    "product_scores square": lambda m: pair(m.product_scores, m.product_scores_backward, _draw(2, 3, 3), _draw(2, 3, 3, seed=1)),
    "AlignedTransformer": aligned_transformer,
    "AlignedTransformer causal": lambda m: aligned_transformer(m, n_decoder_layers=2, full_context=False),
    "recurrent lstm": lambda m: along(m, LSTM),
    "recurrent gru": lambda m: along(m, GRU),
    "recurrent original_gru": lambda m: along(m, ORIGINAL_GRU),
    "recurrent mlstm": lambda m: along(m, MLSTM),
    "recurrent gru reversed": lambda m: along(m, GRU, reverse=True),
    "activation_penalty": lambda m: pair(
        lambda raw, dropped: m.activation_penalty(raw, dropped, 0.7, 0.4), m.activation_penalty_backward, _draw(2, 3, 4), _draw(2, 3, 4, seed=1)
    ),
    "word_dropout": lambda m: pair(lambda x: m.word_dropout(x, np.arange(6).reshape(2, 3), 0.5, 9), m.word_dropout_backward, _draw(2, 3, 4)),
    "AwdLSTM": awd_lstm,
    "additive_scores": lambda m: pair(
        m.additive_scores, m.additive_scores_backward, _draw(2, 4, 3, 5), _draw(2, 2, 3, 5, seed=1), _draw(4, 5)
    ),
    "Additive": lambda m: additive(m, 1, 4),
    "Additive square": lambda m: additive(m, 2, 3),
    "SingleHeadAttention": lambda m: layer(
        m.SingleHeadAttention(DotProduct(scale=1.0), query=Linear(D, D, rng=_rng())), 2, 3, D, others=[_draw(2, 4, D, seed=1)]
    ),
    "Pointer square": lambda m: layer(m.Pointer(D, rng=_rng()), 2, 3, D, others=[_draw(2, 3, D, seed=1)]),
    "PointerNetwork": pointer_network,
    "AttentionBefore": lambda m: in_loop(m, "AttentionBefore"),
    "InputFeeding": lambda m: in_loop(m, "InputFeeding", layers.Sequential(Linear(2 * D, D, rng=_rng()), layers.Activation("tanh"))),
    "rnn": lambda m: pair(m.rnn, m.rnn_backward, *arrays_of(RNN)),
    "gru": lambda m: pair(m.gru, m.gru_backward, *arrays_of(GRU)),
    "lstm": lambda m: pair(m.lstm, m.lstm_backward, *arrays_of(LSTM)),
    "original_gru": lambda m: pair(m.original_gru, m.original_gru_backward, *arrays_of(ORIGINAL_GRU)),
    "mlstm": lambda m: pair(m.mlstm, m.mlstm_backward, *arrays_of(MLSTM)),
    "LSTM": lambda m: begun(m.LSTM(D, F, rng=_rng()), 2),
    "LSTM weight drop": lambda m: layer(m.LSTM(D, F, weight_drop=0.4, rng=_rng()), 2, 3, D, seed=3),
    "Bidirectional": lambda m: begun(m.Bidirectional(layers.GRU(D, F, rng=_rng()), layers.GRU(D, F, reverse=True, rng=_rng())), 2),
    "RecurrentStack": lambda m: begun(m.RecurrentStack([layers.GRU(D, F, rng=_rng()), layers.GRU(F, F, rng=_rng())]), 2),
}
