"""Strategies: what is drawn is as promised, and failing examples shrink to something that can be read."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytx.core import Layer, Tape
from tinytx.extras import MissingExtra
from tinytx.layers import DotProduct, MultiHeadAttention
from tinytx.models import GPT, GPTConfig
from tinytx.ops import attention
from tinytx.tasks import NextToken
from tinytx.testing import check_layer, leak_check, padding_check, promises, strategies

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)
QUIET = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck), max_examples=500)


# ------------------------------------------------------------------------------------------ what is drawn


@given(strategies.tensors(SHAPES, away_from=(0.0, 1.0), margin=0.25))
def test_tensors_are_moderate_distinct_and_away_from_kinks(x):
    assert x.dtype == np.float64
    assert np.abs(x).max() <= 2
    assert len(np.unique(x)) == x.size
    assert (np.abs(x) >= 0.25).all() and (np.abs(x - 1) >= 0.25).all()
    np.testing.assert_array_equal(x.astype(np.float32), x)


@given(strategies.tensors((2, 3), dtype=np.float32, magnitude=100.0))
def test_tensors_have_the_shape_and_dtype_asked_for(x):
    assert x.shape == (2, 3) and x.dtype == np.float32 and np.abs(x).max() <= 100


def test_tensors_without_room_say_so():
    @QUIET
    @given(strategies.tensors((3,), away_from=(0.0,), margin=5.0))
    def draws(x):
        raise AssertionError

    message = r"tensors: 0 values up to 2.0 are 5.0 away from \(0.0,\), too few for shape \(3,\)"
    with pytest.raises(ValueError, match=message):
        draws()


@given(strategies.token_ids(SHAPES, 3))
def test_token_ids_are_in_the_vocabulary(ids):
    assert ids.dtype == np.int64 and ((0 <= ids) & (ids < 3)).all()


@given(strategies.cotangents(SHAPES, dtype=np.float32))
def test_cotangents_have_no_small_entry(dy):
    assert dy.dtype == np.float32 and (np.abs(dy) >= 0.5).all() and (np.abs(dy) <= 1.5).all()


@pytest.mark.parametrize("kind", strategies.KINDS)
@given(data=st.data(), b=st.integers(1, 3), t=st.integers(1, 4), more=st.integers(0, 3))
def test_masks(kind, data, b, t, more):
    s = t + more
    mask = data.draw(strategies.masks(b, t, s, kind=kind))
    full = np.broadcast_to(mask, (b, 2, t, s))
    causal = np.arange(s) <= np.arange(t)[:, None] + more
    sees_none = ~full.any(axis=-1)
    assert mask.dtype == bool and sees_none.any() == (kind == "fully_masked_row")
    if kind == "causal":
        assert (full == causal).all()
    if kind == "padding":
        assert mask.shape == (b, 1, 1, s) and (mask[..., 1:] <= mask[..., :-1]).all()
    if kind == "prefix":
        assert (full >= causal).all() and full[..., 0].all()
        assert ((full & ~causal) <= full[:, :, :1]).all()


@given(strategies.masks(2, 3, 5))
def test_any_mask_fits_attention(mask):
    q, k = np.ones((2, 2, 3, 4)), np.ones((2, 2, 5, 4))
    assert np.isfinite(attention(q, k, k, mask=mask)[0]).all()


def test_an_unknown_kind_of_mask():
    with pytest.raises(ValueError, match="masks: kind is 'square', expected one of causal, padding, "):
        find(strategies.masks(1, 2, kind="square"), lambda mask: True, settings=QUIET)


@given(strategies.distinct_sizes("B", "T", "S", avoid=(3, 5)))
def test_sizes_are_distinct(sizes):
    assert list(sizes) == ["B", "T", "S"]
    assert len({*sizes.values(), 3, 5}) == 5 and min(sizes.values()) >= 2


def test_sizes_without_room_say_so():
    with pytest.raises(ValueError, match=r"there are not 2 sizes from 2 to 3 without \[3\]: raise high"):
        strategies.distinct_sizes("B", "T", high=3, avoid=[3])


@given(strategies.attention_configs(avoid=(2, 3)))
def test_attention_configs_have_distinct_sizes(config):
    d, h = config["d_model"], config["n_heads"]
    assert d % h == 0 and len({d, h, d // h, 2, 3}) == 5
    MultiHeadAttention(**config, rng=np.random.default_rng(0))


# ---------------------------------------------------------------------------------- what failures shrink to


def shrunk(strategy, condition):
    return find(strategy, condition, settings=QUIET)


def test_tensors_shrink_to_small_arrays_of_simple_numbers():
    found = shrunk(strategies.tensors(hnp.array_shapes(max_dims=3, max_side=5)), lambda x: x.max() > 0.3)
    np.testing.assert_array_equal(found, [1.0])
    matrices = strategies.tensors(hnp.array_shapes(min_dims=2, max_dims=2))
    found = shrunk(matrices, lambda x: x.shape[1] > 1 and x[0, 1] < 0)
    np.testing.assert_array_equal(found, [[0.0, -1.0]])


def test_ids_and_cotangents_shrink_to_the_one_entry_that_matters():
    found = shrunk(strategies.token_ids((2, 3), 9), lambda ids: ids[1, 2] > 4)
    np.testing.assert_array_equal(found, [[0, 0, 0], [0, 0, 5]])
    found = shrunk(strategies.cotangents((2, 2)), lambda dy: dy[0, 1] < 0)
    np.testing.assert_array_equal(found, [[1, -1], [1, 1]])


@pytest.mark.parametrize("kind", ["random", "padding"])
def test_masks_shrink_to_the_one_masked_entry_that_matters(kind):
    found = shrunk(strategies.masks(1, 3, kind=kind), lambda mask: not mask[..., -1, 2].all())
    assert (~found).sum() == 1 and not found[0, 0, -1, 2]


def test_sizes_shrink():
    assert shrunk(strategies.distinct_sizes("B", "T", "D"), lambda sizes: True) == {"B": 2, "T": 3, "D": 4}


def test_a_wrong_backward_shrinks_to_its_smallest_failure():
    class Absolute(Layer):
        """Wrong in its backward where an entry is above 1 and not the first of its row."""

        def forward(self, x, tape=None):
            if tape is not None:
                tape.push(self, x)
            return np.abs(x)

        def backward(self, dy, tape):
            x = tape.pop(self)
            dx = dy * np.sign(x)
            dx[:, 1:][x[:, 1:] > 1] = 0
            return dx

    def fails(x):
        try:
            promises.check_gradients(Absolute(), x)
        except AssertionError:
            return True
        return False

    shapes = hnp.array_shapes(min_dims=2, max_dims=2, max_side=4)
    found = shrunk(strategies.tensors(shapes, away_from=(0.0,)), fails)
    np.testing.assert_array_equal(found, [[1.0, 2.0]])


# ----------------------------------------------------------------------------------------------- in use


QUICK = [check for check in promises.CHECKS if check not in (promises.check_gradients, promises.check_size_one)]


@settings(max_examples=5)
@given(st.data())
def test_attention_of_any_configuration(data):
    sizes = data.draw(strategies.distinct_sizes("B", "T", "S", high=5))
    b, t, s = sizes.values()
    config = data.draw(strategies.attention_configs(avoid=sizes.values()))
    layer = MultiHeadAttention(**config | {"core": DotProduct()}, rng=np.random.default_rng(0))
    x = data.draw(strategies.tensors((b, t, config["d_model"])))
    memory = data.draw(strategies.tensors((b, s, config["d_model"])))
    check_layer(layer, x, memory, options={"mask": data.draw(strategies.masks(b, t, s))}, checks=QUICK)


@settings(max_examples=5)
@given(st.data())
def test_gpt_of_any_configuration(data):
    attention = data.draw(strategies.attention_configs(avoid=(2,)))
    d, h = attention["d_model"], attention["n_heads"]
    sizes = data.draw(strategies.distinct_sizes("vocab_size", "max_len", "d_ff", low=4, avoid=(d, h, d // h)))
    choices = {
        "n_layers": st.integers(1, 2),
        "tied_head": st.booleans(),
        "norm_order": st.sampled_from(("pre", "post")),
        "activation": st.sampled_from(("gelu_tanh", "gelu", "relu")),
    }
    config = GPTConfig(d_model=d, n_heads=h, **sizes, **data.draw(st.fixed_dictionaries(choices)))
    model = NextToken.around(GPT, config, rng=np.random.default_rng(0))
    ids = data.draw(strategies.token_ids((2, 4), config.vocab_size))
    check_layer(model, ids, tape=lambda: Tape(seed=0), checks=QUICK)
    leak_check(model, ids)
    padding_check(model, ids, [2, 4], make_options=lambda lengths, size: {})


# ------------------------------------------------------------------------------------------- what is optional


def test_without_hypothesis_the_extra_is_named(monkeypatch):
    for name in ("hypothesis", "hypothesis.strategies"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "tinytx.testing.strategies")
    message = r'tinytx.testing.strategies needs hypothesis: pip install "tinytx\[test\]"'
    with pytest.raises(MissingExtra, match=message):
        importlib.import_module("tinytx.testing.strategies")


def test_testing_itself_imports_neither_pytest_nor_hypothesis():
    code = "import sys, tinytx.testing; print(*{'pytest', 'hypothesis'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
