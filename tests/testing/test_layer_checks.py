"""check_layer: every layer of the library passes, and every check rejects a layer with the mistake it is there for."""

import re

import numpy as np
import pytest
from blocks import make_block
from broken_scales import BROKEN, ClipsDy, Scale, ScaleByGrad, WritesToDy

from tinytx import layers
from tinytx.core import Layer, Parameter, Tape
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.testing import CHECKS, check_layer, parametrize_with_checks

RNG = np.random.default_rng(0)
B, T, S, D, H, F, V = 4, 5, 8, 6, 3, 7, 11  # and heads are 2 wide


def floats(*shape):
    return RNG.normal(size=shape)


def ids(*shape):
    return RNG.integers(0, V, shape)


def mask(*shape):
    allowed = RNG.random(shape) < 0.6
    allowed[0, :, 0] = False  # a query that sees nothing
    return allowed


class Decoder(Layer):
    """Ids, which have no gradient, and a memory to attend to."""

    def __init__(self):
        self.token = layers.Embedding(V, D, rng=RNG)
        self.attention = layers.MultiHeadAttention(D, H, rng=RNG)

    def forward(self, ids, memory, tape=None):
        return self.attention(self.token(ids, tape), memory, tape)

    def backward(self, dy, tape):
        dx, dmemory = self.attention.backward(dy, tape)
        return self.token.backward(dx, tape), dmemory


def attention(**options):
    return layers.MultiHeadAttention(D, H, rng=RNG, **options)


def feed_forward(**options):
    return layers.FeedForward(D, F, rng=RNG, **options)


def gpt(**options):
    return NextToken.around(GPT, GPTConfig(vocab_size=V, max_len=9, d_model=D, n_heads=H, d_ff=F, **options), rng=RNG)


X = floats(B, T, D)

# One layer for each way in which the checks may go wrong with a right one: ids, options, several inputs, no positions,
# no parameters, kinks, shared parameters. Whether all layers are right is asked in tests/layers.
CASES = [
    (layers.Linear(D, F, rng=RNG), X),
    (layers.Linear(D, F, bias=False, rng=RNG), floats(B, D)),
    (layers.TiedLinear(Parameter(floats(V, D))), X),
    (layers.Embedding(V, D, rng=RNG), ids(B, T)),
    (layers.LearnedPositions(9, D, rng=RNG), X, {"start": 2}),
    (layers.SinusoidalPositions(9, D), X),
    (layers.LayerNorm(D), X),
    (feed_forward(activation="relu"), X),
    (attention(), X),
    (attention(), X, {"mask": mask(B, 1, T, T)}),
    (attention(), X, floats(B, S, D), {"mask": mask(B, 1, T, S)}),
    (layers.Dropout(0.5), X),
    (layers.Residual(feed_forward(), layers.LayerNorm(D), norm_order="post"), X),
    (make_block(D, H, F, causal=True, rng=RNG), X),
    (Decoder(), ids(B, T), floats(B, S, D)),
    (gpt(n_layers=1), ids(B, T)),
]

WITH_DROPOUT = [
    (layers.Dropout(0.5), X),
    (feed_forward(dropout=0.3), X),
    (attention(core=layers.DotProduct(dropout=0.3)), X),
    (make_block(D, H, F, causal=True, dropout=0.3, norm_order="post", rng=RNG), X),
]


@parametrize_with_checks(CASES)
def test_layer(layer, check):
    check(layer)


@parametrize_with_checks(WITH_DROPOUT, tape=lambda: Tape(seed=3, step=2, first_row=1))
def test_layer_with_dropout(layer, check):
    check(layer)


@parametrize_with_checks([(Scale(5), floats(2, 3, 5)), (ScaleByGrad(5), floats(2, 3, 5))])
def test_a_layer_of_a_users(layer, check):
    check(layer)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_the_check_for_it_rejects_a_mistake(broken):
    check, message = BROKEN[broken]
    with pytest.raises(AssertionError, match=message):
        check(broken(5), np.random.default_rng(1).normal(size=(2, 3, 5)))


def test_every_check_has_a_mistake_to_reject():
    assert set(CHECKS) == {check for check, _ in BROKEN.values()}


def test_a_missing_dmemory_is_found():
    class ForgetsMemory(layers.MultiHeadAttention):
        def backward(self, dy, tape):
            return super().backward(dy, tape)[0]

    message = "check_shapes_and_dtypes: .*: the gradient of memory is None"
    with pytest.raises(AssertionError, match=message):
        check_layer(ForgetsMemory(D, H, rng=RNG), X[:1, :2], floats(1, 3, D))


def test_writing_to_an_option_is_found():
    class ClosesMask(layers.MultiHeadAttention):
        def forward(self, x, memory=None, tape=None, *, mask):
            mask[..., -1] = False
            return super().forward(x, memory, tape=tape, mask=mask)

    message = r"check_arguments_unmodified: .*: options.mask differs at \(0, 0, 0, 4\): 0.0 against 1.0"
    options = {"mask": np.ones((1, 1, 1, T), bool)}
    with pytest.raises(AssertionError, match=message):
        check_layer(ClosesMask(D, H, rng=RNG), X[:1], options=options)
    assert options["mask"].all()


def test_repeated_ids_are_found():
    class AssignsRows(layers.Embedding):
        def backward(self, dy, tape):
            dweight, (saved, *_) = np.zeros_like(self.weight.data), tape.pop(self)
            dweight[saved.ids] = dy
            self.weight.add_grad(dweight)

    with pytest.raises(AssertionError, match="check_gradients: .*AssignsRows: FAIL"):
        check_layer(AssignsRows(V, D, rng=RNG), np.array([[1, 2, 1]]))


def test_all_failures_are_listed_and_those_only():
    class Both(WritesToDy, ClipsDy):
        pass

    with pytest.raises(AssertionError) as caught:
        check_layer(Both(5), floats(2, 3, 5))
    first, *rest = str(caught.value).splitlines()
    named = [line.partition(":")[0] for line in rest if line.startswith("check_")]
    assert re.fullmatch(rf"Both fails {len(named)} of {len(CHECKS)} checks", first)
    assert {"check_gradients", "check_linear_in_dy", "check_arguments_unmodified"} <= set(named)
    assert not {"check_empty_tape", "check_without_tape"} & set(named)


def test_what_a_layer_raises_is_said_once_with_file_and_line():
    class Refuses(Scale):
        def forward(self, x, tape=None):
            raise OSError("no disk")

    with pytest.raises(AssertionError) as caught:
        check_layer(Refuses(5), floats(2, 3, 5))
    head, *rest = str(caught.value).splitlines()
    assert head == f"Refuses fails {len(CHECKS)} of {len(CHECKS)} checks" and len(rest) == 1
    assert rest[0].startswith("check_gradients, check_determinism, ")
    assert re.search(r": Refuses raised OSError: no disk \(.*test_layer_checks.py:\d+\)$", rest[0])
    assert isinstance(caught.value.__cause__, OSError)


def test_names_of_what_ran():
    names = [check.__name__ for check in CHECKS]
    assert check_layer(Scale(5), floats(2, 3, 5)) == names
    assert check_layer(layers.Activation("relu"), np.array([1.0, -2.0])) == [n for n in names if n != "check_size_one"]
    assert check_layer(layers.Activation("relu"), floats(3, 2), checks=CHECKS[:2]) == names[:2]


def test_the_layer_is_left_alone():
    layer = layers.LayerNorm(5)
    x = floats(2, 3, 5)
    before = x.copy()
    layer.weight.grad = gradient = np.ones(5, np.float32)
    check_layer(layer, x)
    assert layer.weight.grad is gradient and (gradient == 1).all()
    assert (layer.weight.data == 1).all() and layer.weight.data.dtype == np.float32
    np.testing.assert_array_equal(x, before)


def test_ids_can_be_read():
    masked = {"mask": mask(B, 1, T, T)}
    cases = [(attention(), X), (attention(), X), (attention(), X, masked), (attention(), X, masked)]
    parameters = parametrize_with_checks(cases, checks=CHECKS[1:2]).args[1]
    assert [parameter.id for parameter in parameters] == [
        "MultiHeadAttention-check_determinism",
        "MultiHeadAttention#2-check_determinism",
        "MultiHeadAttention(mask)-check_determinism",
        "MultiHeadAttention(mask)#2-check_determinism",
    ]
