"""Optimisers: what they refuse, before anything is changed, and how far a NaN gets."""

import numpy as np
import pytest
from optimizer_twins import LR, Toy, random_gradients, take

from tinytx.core import Layer, Parameter
from tinytx.training import LAMB, SGD, AdaGrad, Adam, AdamW, Lookahead, RAdam, Ranger

NAN, INF = float("nan"), float("inf")
KINDS = {
    "SGD": lambda model, lr, **options: SGD(model, lr, momentum=0.9, **options),
    "AdaGrad": AdaGrad,
    "Adam": Adam,
    "AdamW": AdamW,
    "RAdam": RAdam,
    "LAMB": LAMB,
    "Lookahead": lambda model, lr, **options: Lookahead(AdamW(model, lr, **options), k=2),
    "Ranger": Ranger,
}
ADAMS = [Adam, AdamW, RAdam, LAMB, Ranger]


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def make(request):
    return request.param


def snapshot(optimizer):
    data = {f"data.{name}": parameter.data for name, parameter in optimizer.named.items()}
    return {name: array.tobytes() for name, array in (data | optimizer.state_dict()).items()}


def ready(optimizer, seed=0):
    """The optimiser with a gradient, ready for its next step."""
    for name, g in random_gradients()[seed].items():
        optimizer.named[name].grad = g.astype(optimizer.named[name].data.dtype)
    return optimizer


# ------------------------------------------------------------------------------------------------ settings


@pytest.mark.parametrize("value", [1.5, 1.0, -1.0, NAN, INF, None, "0.9"])
def test_momentum_out_of_range(value):
    """Catches a velocity that grows without end."""
    with pytest.raises((ValueError, TypeError), match=r"SGD: momentum is .*, expected a number in \[0, 1\)"):
        SGD(Toy(), LR, momentum=value)


@pytest.mark.parametrize("kind", ADAMS)
@pytest.mark.parametrize("value", [0, 0.0, -1e-4, NAN, INF, None])
def test_eps_out_of_range(kind, value):
    """Catches steps uphill, and 0 / 0 where a row has had no gradient."""
    with pytest.raises((ValueError, TypeError), match="eps is .*, expected a finite number above 0"):
        kind(Toy(), LR, eps=value)


@pytest.mark.parametrize("kind", ADAMS)
def test_numbers_that_are_out_of_range_in_the_models_dtype(kind):
    """Catches what is in range in float64, and 0, 1 or infinite in float32, where the loop computes."""
    single, double = Toy(np.float32), Toy()
    refused = [
        ({"eps": 1e-50}, r"eps is 1e-50, which is 0.0 in the model's float32, expected a finite number above 0"),
        ({"betas": (0.9, 1 - 1e-10)}, r"betas\[1\] is 0.9999999999, which is 1.0 in the model's float32"),
        ({"betas": (1 - 1e-10, 0.9)}, r"betas\[0\] is 0.9999999999, which is 1.0"),
        ({"weight_decay": 1e39}, "weight_decay is 1e.39, which is inf in the model's float32"),
        ({"groups": [("bias", {"weight_decay": 1e39})]}, "weight_decay is 1e.39, which is inf"),
    ]
    for options, message in refused:
        kind(double, LR, **options)
        with pytest.raises(ValueError, match=message):
            kind(single, LR, **options)
    with pytest.raises(ValueError, match="lr is 1e.39, which is inf"):
        kind(single, 1e39)


def test_others_that_are_out_of_range_in_the_models_dtype():
    with pytest.raises(ValueError, match="SGD: momentum is 0.9999999999, which is 1.0"):
        SGD(Toy(np.float32), LR, momentum=1 - 1e-10)
    with pytest.raises(ValueError, match="Lookahead: alpha is 1e-50, which is 0.0"):
        Lookahead(SGD(Toy(np.float32), LR), alpha=1e-50)


@pytest.mark.parametrize("alpha", [0, -0.5, 1.5, NAN, None])
def test_alpha_out_of_range(alpha):
    with pytest.raises((ValueError, TypeError), match="Lookahead: alpha is"):
        Lookahead(SGD(Toy(), LR), alpha=alpha)


def test_a_row_without_gradient_stays_finite():
    """Catches an eps that is lost on its way into the loop."""
    for kind in ADAMS:
        model = Toy(np.float32)
        optimizer = kind(model, LR, eps=1e-30)
        take(optimizer, {"weight": np.zeros((3, 4)), "bias": np.zeros(4)})
        assert np.isfinite(model.weight.data).all() and np.isfinite(model.bias.data).all()


# ------------------------------------------------------------------------------------------------ models


def test_a_model_without_parameters(make):
    """Catches an optimiser that trains nothing without a word."""
    with pytest.raises(ValueError, match="Layer has no parameters to train"):
        make(Layer(), LR)


@pytest.mark.parametrize("model", [Toy().parameters(), [], None, Parameter(np.ones(3))])
def test_what_is_no_model(make, model):
    """Catches a list of parameters, which other libraries take."""
    with pytest.raises(TypeError, match=r"model is a \w+, expected a Layer"):
        make(model, LR)


def test_what_is_no_optimizer_cannot_be_looked_ahead_of():
    with pytest.raises(TypeError, match="Lookahead: optimizer is a Toy, expected an Optimizer"):
        Lookahead(Toy())


# ------------------------------------------------------------------------------------------------ a step's rate


@pytest.mark.parametrize("rate", [NAN, INF, -INF, -1e-3, 1e39, None, "0.1", np.ones(2), 1j])
@pytest.mark.parametrize("where", ["lr", "assigned", "group's lr", "group's factor"])
def test_a_rate_that_cannot_be_changes_nothing(make, where, rate):
    """Catches a function of the step that nobody looks at: NaN would be in all weights after a step of good loss."""

    def at_2(step):
        return rate if step == 2 else 0.1

    groups = {"group's lr": [("bias", {"lr": at_2})], "group's factor": [("bias", {"lr_factor": at_2})]}
    optimizer = make(Toy(), at_2 if where == "lr" else LR, groups=groups.get(where, ()))
    for grads in random_gradients(2):
        take(optimizer, grads)
    if where == "assigned":
        optimizer.lr = rate
    before = snapshot(ready(optimizer))
    name = {"group's lr": "lr of bias", "group's factor": "lr_factor of bias"}.get(where, "the learning rate")
    with pytest.raises((ValueError, TypeError), match=rf"step 2: {name} is .*, expected a finite number of at least 0"):
        optimizer.step()
    assert snapshot(optimizer) == before
    optimizer.lr = LR
    optimizer.settings["bias"] = optimizer.settings["weight"]
    optimizer.step()
    assert optimizer.t == 3 and snapshot(optimizer) != before


def test_a_product_of_rates_that_is_too_large(make):
    optimizer = ready(make(Toy(), 1e30, groups=[("bias", {"lr_factor": 1e30})]))
    with pytest.raises(ValueError, match="step 0: lr_factor times lr of bias is 1.*e.60"):
        optimizer.step()


@pytest.mark.parametrize("scale", [NAN, INF, -1.0, None])
def test_a_scale_that_cannot_be_changes_nothing(make, scale):
    optimizer = ready(make(Toy(), LR))
    before = snapshot(optimizer)
    with pytest.raises((ValueError, TypeError), match="step 0: scale is .*, expected a finite number of at least 0"):
        optimizer.step(scale=scale)
    assert snapshot(optimizer) == before


@pytest.mark.parametrize("grad", [np.ones(3), np.ones((2, 2, 2)), np.ones(4, np.float32), np.ones(4, int)])
def test_a_gradient_that_does_not_fit_changes_nothing(make, grad):
    """Catches a loop that reads beyond the end of an assigned gradient, or its bits as those of another dtype."""
    optimizer = ready(make(Toy(), LR))
    optimizer.named["bias"].grad = grad
    before = snapshot(optimizer)
    with pytest.raises(ValueError, match=r"the gradient of bias has shape .*, expected \(4,\) and float64"):
        optimizer.step()
    assert snapshot(optimizer) == before


@pytest.mark.parametrize("data", [np.ones(5), np.ones(4, np.float32), np.ones((4, 1))])
def test_data_of_another_shape_is_refused(make, data):
    """Catches moments of another length than the parameter that somebody has put in its place."""
    optimizer = ready(make(Toy(), LR))
    optimizer.named["bias"].data = data
    with pytest.raises(ValueError, match=r"bias has shape .* expected \(4,\) and float64 as when the optimiser"):
        optimizer.step()
    assert optimizer.t == 0


def test_a_state_that_is_not_finite_is_refused(make):
    """Catches moments of NaN, which would be in all weights after a step of good loss; and a step counter below 0."""
    optimizer = make(Toy(), LR)
    take(optimizer, random_gradients()[0])
    before, state = snapshot(optimizer), optimizer.state_dict()
    slot = next(name for name in state if name.endswith(".weight"))
    for name, wrong in ((slot, np.full((3, 4), NAN)), ("t", np.array(-1))):
        with pytest.raises(ValueError, match=f"not finite, or a step below 0: {name}"):
            optimizer.load_state_dict(state | {name: wrong})
    assert snapshot(optimizer) == before


# ------------------------------------------------------------------------------------------------ NaN


@pytest.mark.parametrize("scale", [1.0, 0.0])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_what_is_not_finite_is_not_lost(make, value, scale):
    """Catches a minimum, a maximum or a comparison that swallows NaN: it must be in its entry, and in no other array.

    0 times NaN, and 0 times infinity, is NaN: a gradient that clipping scales to 0 is no exception.
    """
    clean, spoilt = make(Toy(), LR, weight_decay=0.0), make(Toy(), LR, weight_decay=0.0)
    for grads in random_gradients(7):  # RAdam divides from its sixth step on
        take(clean, grads)
        take(spoilt, grads)
    grads = random_gradients(8)[7]
    take(clean, grads, scale)
    with np.errstate(invalid="ignore", over="ignore"):
        take(spoilt, grads | {"weight": np.where(np.arange(12).reshape(3, 4) == 5, value, grads["weight"])}, scale)
    weight = spoilt.named["weight"].data
    assert not np.isfinite(weight[1, 1])
    np.testing.assert_array_equal(spoilt.named["bias"].data, clean.named["bias"].data)
    if not isinstance(clean, LAMB):  # whose norms are the whole array's
        others = np.arange(12) != 5
        np.testing.assert_array_equal(weight.ravel()[others], clean.named["weight"].data.ravel()[others])
