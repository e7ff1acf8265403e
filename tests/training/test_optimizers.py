"""Optimisers against their formulas, written once more in plain NumPy."""

import numpy as np
import pytest
from cases import Backwards
from optimizer_twins import DECAY, LR, Toy, adagrad, adam, lamb, radam, random_gradients, sgd, take

from tinytx import workers
from tinytx.training import LAMB, SGD, AdaGrad, Adam, AdamW, Lookahead, RAdam, Ranger

BETAS = {"betas": (0.8, 0.95)}
CASES = {
    "SGD": (SGD, {}, sgd(0.0)),
    "SGD with momentum": (SGD, {"momentum": 0.9}, sgd(0.9)),
    "AdaGrad": (AdaGrad, {}, adagrad()),
    "Adam": (Adam, BETAS, adam(decoupled=False)),
    "AdamW": (AdamW, BETAS, adam(decoupled=True)),
    "RAdam": (RAdam, BETAS, radam(decoupled=False)),
    "RAdam, decoupled": (RAdam, BETAS | {"decoupled_weight_decay": True}, radam(decoupled=True)),
    "RAdam, threshold of the paper": (RAdam, BETAS | {"rho_threshold": 4}, radam(decoupled=False, threshold=4)),
    "LAMB": (LAMB, BETAS, lamb()),
}


def lookahead_of_sgd(model, lr, **options):
    return Lookahead(SGD(model, lr, momentum=0.9, **options), k=3, alpha=0.8)


KINDS = {name: case[:2] for name, case in CASES.items()} | {
    "Lookahead": (lookahead_of_sgd, {}),
    "Lookahead of Lookahead": (lambda *a, **options: Lookahead(lookahead_of_sgd(*a, **options), k=2), {}),
    "Ranger": (Ranger, {}),
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


@pytest.mark.parametrize("kind, options", KINDS.values(), ids=KINDS)
def test_float32_stays_float32_and_close(kind, options):
    """Catches scalars that promote, and moments kept in another precision than the weights."""
    exact, single = (kind(Toy(dtype), LR, weight_decay=DECAY, **options) for dtype in (np.float64, np.float32))
    for grads in random_gradients():
        take(exact, grads)
        take(single, grads)
    for name, parameter in single.named.items():
        assert parameter.data.dtype == np.float32
        np.testing.assert_allclose(parameter.data, exact.named[name].data, atol=1e-5)
    assert {array.dtype for name, array in single.state_dict().items() if name != "t"} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind, options", KINDS.values(), ids=KINDS)
def test_state_dict_round_trip(kind, options):
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


@pytest.mark.parametrize("kind", [SGD, AdaGrad, Adam, RAdam, Ranger, LAMB])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_rates_that_cannot_be(kind, value):
    """Catches a NaN that makes every weight NaN in one step, and a sign that climbs."""
    with pytest.raises(ValueError, match=f"lr is {value}, expected a finite number"):
        kind(Toy(), value)
    with pytest.raises(ValueError, match=f"weight_decay is {value}, expected a finite number"):
        kind(Toy(), LR, weight_decay=value)


@pytest.mark.parametrize("kind", [Adam, RAdam, Ranger, LAMB])
@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, 1.0), (-0.1, 0.9), (0.9, float("nan"))])
def test_betas_out_of_range(kind, betas):
    """Catches a division by 1 - beta**t = 0."""
    with pytest.raises(ValueError, match=r"betas\[\d\] is"):
        kind(Toy(), LR, betas=betas)


@pytest.mark.parametrize("threshold", [3.9, -1.0, float("nan")])
def test_threshold_out_of_range(threshold):
    """Catches the square root of a negative number at rho = 3.9."""
    with pytest.raises(ValueError, match=f"RAdam: rho_threshold is {threshold}"):
        RAdam(Toy(), LR, rho_threshold=threshold)


def test_rectification_grows_from_the_sixth_step_on_to_1():
    """Catches a rule that sets in a step early or late, and a factor above 1."""
    optimizer, factors = RAdam(Toy(), LR), []
    for optimizer.t in range(1, 20001):
        factors.append(optimizer.rectification(optimizer.t))
    assert factors[:5] == [None] * 5
    assert 0.02 < factors[5] < 0.03 and 0.99 < factors[-1] < 1
    assert (np.diff(factors[5:]) > 0).all()


@pytest.mark.parametrize("zero", ["parameter", "gradient"])
def test_lamb_where_a_norm_is_0(zero):
    """Catches 0/0 and a bias that starts at 0 and never leaves it."""
    optimizer = LAMB(Toy(), LR, weight_decay=0.0)
    optimizer.named["bias"].data[...] = 0 if zero == "parameter" else 1
    take(optimizer, {"bias": np.zeros(4) if zero == "gradient" else np.ones(4)})
    expected = -LR / (1 + 1e-6) if zero == "parameter" else 1.0
    np.testing.assert_allclose(optimizer.named["bias"].data, expected, rtol=1e-12)


@pytest.mark.parametrize("kind, options", KINDS.values(), ids=KINDS)
def test_the_order_in_which_threads_update_changes_nothing(kind, options):
    """Catches an update of one parameter that reads another's."""
    one, two = kind(Toy(), LR, **options), kind(Toy(), LR, **options)
    for grads in random_gradients():
        take(one, grads)
        for name, g in grads.items():
            two.named[name].grad = g
        with workers.use(Backwards(2)):
            two.step()
    for name, parameter in one.named.items():
        np.testing.assert_array_equal(parameter.data, two.named[name].data)
