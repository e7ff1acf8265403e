"""Optimisers against their formulas, written once more in plain NumPy."""

import numpy as np
import pytest

from tinytx.core import Layer, Parameter
from tinytx.training import SGD, Adam, AdamW

LR, DECAY, STEPS = 0.03, 0.2, 20


class Toy(Layer):
    """A matrix and a vector."""

    def __init__(self, dtype=np.float64):
        rng = np.random.default_rng(0)
        self.weight = Parameter(rng.standard_normal((3, 4)).astype(dtype))
        self.bias = Parameter(rng.standard_normal(4).astype(dtype))


def random_gradients(steps=STEPS):
    rng = np.random.default_rng(1)
    return [{"weight": rng.standard_normal((3, 4)), "bias": rng.standard_normal(4)} for _ in range(steps)]


def take(optimizer, grads, scale=1.0):
    """One step with given gradients."""
    optimizer.zero_grad()
    for name, g in grads.items():
        optimizer.named[name].grad = g.astype(optimizer.named[name].data.dtype)
    optimizer.step(scale=scale)


def sgd(momentum):
    def formula(p, u, v, g, lr, decay, t):
        u = momentum * u + (g + decay * p)
        return p - lr * u, u, v

    return formula


def adam(decoupled, b1=0.8, b2=0.95, eps=1e-8):
    def formula(p, m, v, g, lr, decay, t):
        if decoupled:
            p = p - lr * decay * p
        else:
            g = g + decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        return p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps), m, v

    return formula


CASES = {
    "SGD": (SGD, {}, sgd(0.0)),
    "SGD with momentum": (SGD, {"momentum": 0.9}, sgd(0.9)),
    "Adam": (Adam, {"betas": (0.8, 0.95)}, adam(decoupled=False)),
    "AdamW": (AdamW, {"betas": (0.8, 0.95)}, adam(decoupled=True)),
}


@pytest.mark.parametrize("kind, options, formula", CASES.values(), ids=CASES)
def test_equals_its_formula(kind, options, formula):
    """Catches a wrong bias correction, decay of vectors, decay coupled where it should not be (and the reverse), and
    a learning rate taken from the wrong step."""
    model = Toy()
    optimizer = kind(model, lambda step: LR / (1 + step), weight_decay=DECAY, **options)
    expected = {name: (p.data.copy(), 0.0, 0.0) for name, p in model.named_parameters()}
    for t, grads in enumerate(random_gradients(), start=1):
        take(optimizer, {name: 2 * g for name, g in grads.items()}, scale=0.5)
        for name, state in expected.items():
            decay = DECAY if name == "weight" else 0.0
            expected[name] = formula(*state, grads[name], LR / t, decay, t)
    for name, (p, *_) in expected.items():
        np.testing.assert_allclose(optimizer.named[name].data, p, rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind, options, formula", CASES.values(), ids=CASES)
def test_float32_stays_float32_and_close(kind, options, formula):
    """Catches scalars that promote, and moments kept in another precision than the weights."""
    exact, single = (kind(Toy(dtype), LR, weight_decay=DECAY, **options) for dtype in (np.float64, np.float32))
    for grads in random_gradients():
        take(exact, grads)
        take(single, grads)
    for name, parameter in single.named.items():
        assert parameter.data.dtype == np.float32
        np.testing.assert_allclose(parameter.data, exact.named[name].data, atol=1e-5)
    assert {array.dtype for name, array in single.state_dict().items() if name != "t"} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind, options, formula", CASES.values(), ids=CASES)
def test_state_dict_round_trip(kind, options, formula):
    """Catches a moment or the step counter left out of the state: the bits after a resume would differ."""
    first, later = random_gradients(5), random_gradients(10)[5:]
    straight = kind(Toy(), LR, **options)
    for grads in first:
        take(straight, grads)
    resumed = kind(Toy(), LR, **options)
    resumed.load_state_dict({name: array.copy() for name, array in straight.state_dict().items()})
    for name, parameter in resumed.named.items():
        parameter.data[...] = straight.named[name].data
    for optimizer in (straight, resumed):
        for grads in later:
            take(optimizer, grads)
    assert resumed.t == straight.t == 10
    for name, array in straight.state_dict().items():
        np.testing.assert_array_equal(resumed.state_dict()[name], array)
    for name, parameter in straight.named.items():
        np.testing.assert_array_equal(resumed.named[name].data, parameter.data)


def test_state_that_does_not_fit_is_named_whole_and_changes_nothing():
    """Catches a loader that stops at the first fault, or half-way."""
    optimizer = AdamW(Toy(), LR)
    take(optimizer, random_gradients(1)[0])
    before = {name: array.copy() for name, array in optimizer.state_dict().items()}
    state = {name: array + 1 for name, array in before.items()}
    state["m.stranger"] = state.pop("m.weight")
    state["v.bias"] = np.zeros(5)
    with pytest.raises(ValueError, match=r"AdamW: state does not fit the model: m\.stranger, m\.weight, v\.bias$"):
        optimizer.load_state_dict(state)
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    "name, array", [("t", np.zeros(2, int)), ("t", np.array(0.5)), ("u.bias", np.zeros(4, complex))]
)
def test_state_of_another_kind(name, array):
    """Catches a counter that int() refuses once the moments have been overwritten, and a lost imaginary part."""
    optimizer = SGD(Toy(), LR)
    with pytest.raises(ValueError, match=f"{name}$"):
        optimizer.load_state_dict(optimizer.state_dict() | {name: array})


def test_data_that_is_not_contiguous_is_refused():
    """Catches an update of a copy: training that runs and changes nothing."""
    model = Toy()
    optimizer = SGD(model, LR)
    model.weight.data = np.asfortranarray(model.weight.data)
    with pytest.raises(ValueError, match="the data of weight is not C-contiguous"):
        optimizer.step()


@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, float("nan"))])
def test_betas_out_of_range(betas):
    """Catches a division by 1 - beta**t = 0."""
    with pytest.raises(ValueError, match=r"betas\[\d\] is"):
        Adam(Toy(), LR, betas=betas)
