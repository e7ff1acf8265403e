"""ALBERT: one block for all layers, and the memory of a tape that computes blocks a second time."""

import math

import numpy as np
import pytest
from sizes import Untold, n_parameters

from tinytx.core import Tape
from tinytx.hub import FAMILIES
from tinytx.layers import LayerNorm
from tinytx.models import Albert, AlbertConfig, Bert, BertConfig
from tinytx.models.config import check_vouched
from tinytx.tasks import HiddenWords

SIZES = {"max_len": 9, "d_embedding": 4, "d_model": 8, "n_heads": 2, "d_ff": 12}
IDS = np.random.default_rng(0).integers(1, 11, (3, 7))


def albert(**options):
    body = Albert(AlbertConfig(11, **SIZES | options), rng=np.random.default_rng(0), dtype=np.float64)
    for i, parameter in enumerate(body.parameters()):
        parameter.data[...] = np.random.default_rng(i).normal(size=parameter.data.shape)
    return body


def gradients(body, tape):
    """Return {path: gradient} of a random dy."""
    y = body(IDS, tape)
    body.backward(np.random.default_rng(1).normal(size=y.shape), tape)
    tape.check_empty()
    return {path: parameter.grad for path, parameter in body.named_parameters()}


@pytest.mark.parametrize("n_groups", [1, 2, 3])
def test_the_gradient_of_a_shared_block_is_the_sum_over_its_copies(n_groups):
    """Catches a call whose gradient is lost, and groups of other layers than the published ones."""
    shared, copies = albert(n_layers=6, n_groups=n_groups, dropout=0.3), albert(n_layers=6, n_groups=6, dropout=0.3)
    own, there = dict(shared.named_parameters()), dict(copies.named_parameters())
    for path, parameter in there.items():
        head, number, rest = path.split(".", 2)
        parameter.data[...] = own[f"blocks.{int(number) * n_groups // 6}.{rest}" if head == "blocks" else path].data
    summed, added = gradients(shared, Tape(seed=1)), gradients(copies, Tape(seed=1))
    for path, gradient in summed.items():
        head, number, rest = path.split(".", 2)
        group = range(int(number) * 6 // n_groups, (int(number) + 1) * 6 // n_groups) if head == "blocks" else ()
        expected = sum(added[f"blocks.{i}.{rest}"] for i in group) if head == "blocks" else added[path]
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12 * np.abs(expected).max(), err_msg=path)


@pytest.mark.parametrize(("model", "recompute"), [(albert, 1), (albert, 4), (albert, 5), (albert, 9)])
def test_blocks_that_are_computed_again_are_the_same_to_the_bit(model, recompute):
    """Catches masks drawn anew, blocks left out where the last run is shorter, names of parameters that change."""
    plain, again = (gradients(model(n_layers=6, n_groups=2, dropout=0.3, recompute=n), Tape(seed=1)) for n in (0, recompute))
    assert plain.keys() == again.keys()
    for path, gradient in plain.items():
        np.testing.assert_array_equal(again[path], gradient, err_msg=path)


def test_the_memory_of_a_tape_grows_as_the_root_of_the_number_of_layers():
    """What the tape keeps after forward, and what one run of blocks keeps while backward computes it again.

    With the root of L blocks in a run both are a multiple of the root: L of 4 times as many, bytes of 2 times as many.
    """

    def size(tape):
        return sum(size for _, _, size in tape.kept())

    def most(n_layers, recompute):
        body, tape = albert(n_layers=n_layers, recompute=recompute), Tape()
        body(IDS, tape)
        if not recompute:
            return size(tape)
        inner = Tape()
        body.encoder.recomputed[0].layer(np.ones((*IDS.shape, 8)), inner)
        return size(tape) + size(inner)

    plain = [most(n, 0) for n in (16, 64)]
    roots = [most(n, math.isqrt(n)) for n in (16, 64)]
    assert plain[1] / plain[0] == pytest.approx(4, rel=0.05)
    assert roots[1] / roots[0] == pytest.approx(2, rel=0.05)
    assert roots[1] < plain[1] / 6


def test_published_sizes():
    """Base with both heads, and xxlarge without: as counted in transformers. Of xxlarge's body theirs has a pooler besides."""
    base = HiddenWords.around(Albert, AlbertConfig(30_000), rng=Untold(), settings={"next_sentence": True})
    assert n_parameters(base) == 11_813_810
    pooler = 4096 * 4096 + 4096
    xxlarge = Albert(AlbertConfig(30_000, d_model=4096, n_heads=64, d_ff=16_384), rng=Untold())
    assert n_parameters(xxlarge) + pooler == 222_595_584


def test_fewer_parameters_than_a_bert():
    """Of its blocks an L-th, and of its table of words E / D."""
    few = albert(n_layers=5)
    many = Bert(BertConfig(11, **{k: v for k, v in SIZES.items() if k != "d_embedding"}, n_layers=5), rng=np.random.default_rng(0))
    assert n_parameters(few.blocks[0]) * 5 == sum(map(n_parameters, many.encoder.blocks))
    assert len(few.blocks) == 1 and few.encoder.blocks == few.blocks * 5
    assert (few.output_table.data.shape, many.output_table.data.shape) == ((11, 4), (11, 8))


def test_more_groups_than_layers_are_refused():
    with pytest.raises(ValueError, match="AlbertConfig: n_groups is 4, expected at most n_layers, 3"):
        AlbertConfig(11, **SIZES, n_layers=3, n_groups=4)


def test_a_file_with_few_arrays_may_have_many_shared_layers():
    """Its arrays vouch for one block: xlarge has 24 layers and 23 arrays."""
    sizes = {"vocab_size": 30_000, "max_position_embeddings": 512, "hidden_size": 2048, "num_attention_heads": 16}
    config = FAMILIES["albert"].read_config(sizes | {"num_hidden_layers": 24, "intermediate_size": 8192})
    check_vouched(config, 23, 10**8)
    assert (config.d_embedding, config.n_groups, config.activation, config.dropout) == (128, 1, "gelu_tanh", 0.0)


def test_each_dropout_and_eps_is_where_it_is_asked_for():
    """Of embeddings, attention weights and parts; 0 is not taken for nothing said."""
    for options, expected in (
        ({"dropout": 0.3}, (0.3, 0.3, 0.3)),
        ({"dropout": 0.3, "embedding_dropout": 0.0, "attention_dropout": 0.2}, (0.0, 0.2, 0.3)),
    ):
        body = albert(n_layers=2, eps=0.25, **options)
        attention = body.blocks[0].attention
        assert (body.encoder.dropout.p, attention.f.core.p, attention.dropout.p) == expected
        assert {layer.eps for _, layer in body.named_layers() if isinstance(layer, LayerNorm)} == {0.25}
