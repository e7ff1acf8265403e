"""Parameter groups: which parameters a pattern takes, what its settings do, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizer_twins import LR, Toy, adam, random_gradients, run, take

from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import LAMB, SGD, AdaGrad, Adam, AdamW, Lookahead, RAdam, Ranger
from tinytx.training.optimizers.groups import Settings, settings_of

OPTIMIZERS = {
    "SGD": lambda model, **options: SGD(model, LR, momentum=0.9, **options),
    "AdaGrad": lambda model, **options: AdaGrad(model, LR, **options),
    "Adam": lambda model, **options: Adam(model, LR, **options),
    "AdamW": lambda model, **options: AdamW(model, LR, **options),
    "RAdam": lambda model, **options: RAdam(model, LR, **options),
    "LAMB": lambda model, **options: LAMB(model, LR, **options),
    "Ranger": lambda model, **options: Ranger(model, LR, k=2, **options),
    "Lookahead": lambda model, **options: Lookahead(AdamW(model, LR, **options), k=2),
}
PATHS = ["token.weight", "blocks.0.bias", "blocks.0.weight", "blocks.1.bias", "blocks.10.bias", "norm.weight"]


@pytest.fixture(params=OPTIMIZERS.values(), ids=OPTIMIZERS)
def make(request):
    return request.param


def trained(optimizer, steps=13):
    for grads in random_gradients(steps):
        take(optimizer, grads)
    return {name: parameter.data for name, parameter in optimizer.named.items()}


@pytest.mark.parametrize(
    "groups, expected",
    [
        ([], [None] * 6),
        ([("*.bias", 1)], [None, 1, None, 1, 1, None]),
        ([("*.bias", 1), ("blocks.*", 2)], [None, 1, 2, 1, 1, None]),
        ([("blocks.*", 2), ("*", 3)], [3, 2, 2, 2, 2, 3]),
        ([("blocks.?.bias", 1), ("token.weight", 2)], [2, 1, None, 1, None, None]),
        ([("blocks.[01].*", 1)], [None, 1, 1, 1, None, None]),
    ],
)
def test_first_match_wins(groups, expected):
    """Catches a last match that wins, a star that stops at a dot, and a pattern that matches a part of a path."""
    found = settings_of("X", PATHS, [(pattern, {"weight_decay": value}) for pattern, value in groups])
    assert list(found) == PATHS
    assert [settings.weight_decay for settings in found.values()] == expected


@given(st.lists(st.sampled_from(PATHS), unique=True))
def test_paths_as_patterns(chosen):
    """Every path is a pattern that takes itself alone."""
    found = settings_of("X", PATHS, [(path, {"lr_factor": float(i)}) for i, path in enumerate(chosen)])
    for path, settings in found.items():
        assert settings.lr_factor == (chosen.index(path) if path in chosen else 1.0)


@pytest.mark.parametrize(
    "groups, message",
    [
        ([("embedding.*", {})], r"AdamW: group 'embedding\.\*' matches no parameter; their paths are weight, bias"),
        ([("w*", {}), ("weight", {})], "group 'weight' matches only parameters of earlier groups .weight.: put it b"),
        ([("Weight", {})], "group 'Weight' matches no parameter"),
        ([("weight", {"decay": 0.1})], "group 'weight' sets 'decay', expected one of lr, lr_factor, weight_decay"),
        ([("weight", {"lr_factor": -1})], "group 'weight' sets lr_factor to -1, expected a finite number from 0"),
        ([("weight", {"lr": "1e-3"})], "sets lr to '1e-3'"),
        ([("weight", {"first_step": -1})], "AdamW: group 'weight': first_step is -1"),
        ([("weight", {"first_step": None})], "AdamW: group 'weight': first_step is None"),
        ([("weight", {"first_step": 0.5})], "AdamW: group 'weight': first_step is 0.5"),
        ([("weight", {"weight_decay": np.nan})], "sets weight_decay to nan"),
        ([("weight", {"weight_decay": lambda step: 0.1})], "sets weight_decay to <function"),
        (["weight"], r"groups\[0\] is 'weight', expected a pair"),
        ([({"lr": 0.1}, "weight")], r"groups\[0\] is \(\{'lr'"),
    ],
)
def test_refused(groups, message):
    """Catches a misspelt pattern or setting that silently does nothing, which is how decay ends up on gains."""
    with pytest.raises((TypeError, ValueError), match=message):
        AdamW(Toy(), LR, groups=groups)


def test_many_paths_are_cut_short():
    """Catches a message of four hundred names."""
    model = NextToken(GPT(GPTConfig(vocab_size=5, d_model=8, n_heads=2), rng=np.random.default_rng(0)))
    with pytest.raises(ValueError, match=r"token\.weight, .*, \.\.\. \(\d+ in all\)$") as caught:
        AdamW(model, LR, groups=[("embedding.*", {})])
    assert len(str(caught.value)) < 400


def test_every_optimizer_takes_groups(make):
    """Catches an option that is taken and not handed on."""
    with pytest.raises(ValueError, match="group 'stranger'"):
        make(Toy(), groups=[("stranger", {})])


@pytest.mark.parametrize("frozen", [{"lr_factor": 0.0}, {"lr": 0}, {"lr_factor": 0, "weight_decay": 0.5}])
def test_frozen_parameters_keep_their_bits(make, frozen):
    """Catches decay, momentum and slow weights that move what is frozen, if only a zero's sign; or freeze all."""
    model = Toy()
    model.weight.data[0] = [0.0, -0.0, 1e-300, -1e300]
    before = {name: array.copy() for name, array in model.state_dict().items()}
    optimizer = make(model, weight_decay=0.1, groups=[("weight", frozen)])
    trained(optimizer)
    assert model.weight.data.tobytes() == before["weight"].tobytes()
    assert (model.bias.data != before["bias"]).all()
    alone = make(Toy(), weight_decay=0.1)
    np.testing.assert_array_equal(trained(alone)["bias"], model.bias.data)


def test_a_group_with_nothing_to_say_changes_nothing(make):
    """Catches a default in a group that is not the optimiser's: decay of vectors above all."""
    plain, grouped = make(Toy(), weight_decay=0.1), make(Toy(), weight_decay=0.1, groups=[("bias", {}), ("*", {})])
    expected = trained(plain)
    for name, array in trained(grouped).items():
        np.testing.assert_array_equal(array, expected[name])


def test_settings_are_what_they_say(make):
    """Each parameter goes the way that it would go alone, with the group's settings as the optimiser's own."""
    grouped = make(Toy(), weight_decay=0.1, groups=[("weight", {"lr_factor": 0.25, "weight_decay": 0.4})])
    alone = make(Toy(), weight_decay=0.4)
    alone.lr = 0.25 * LR
    found, expected = trained(grouped), trained(alone)
    np.testing.assert_array_equal(found["weight"], expected["weight"])
    assert (found["bias"] != expected["bias"]).any()


@pytest.mark.parametrize(
    "settings, rate",
    [
        ({}, lambda step: 1 / (1 + step)),
        ({"lr_factor": 0.5}, lambda step: 0.5 / (1 + step)),
        ({"lr_factor": lambda step: float(step >= 3)}, lambda step: float(step >= 3) / (1 + step)),
        ({"lr": 0.02}, lambda step: 0.02),
        ({"lr": lambda step: 0.1 * step}, lambda step: 0.1 * step),
        ({"lr": lambda step: 0.1 * step, "lr_factor": 2}, lambda step: 0.2 * step),
    ],
    ids=["none", "factor", "factor that changes", "rate", "schedule", "schedule and factor"],
)
def test_rates(settings, rate):
    """Catches a group's own rate multiplied by the optimiser's, a factor in its place, and a step taken from elsewhere.

    Moments go on where a schedule happens to be 0, as they do in PyTorch.
    """
    optimizer = Adam(Toy(), lambda step: 1 / (1 + step), betas=(0.8, 0.95), groups=[("weight", settings)])
    start, gradients = optimizer.named["weight"].data.copy(), random_gradients(9)
    found = trained(optimizer, 9)["weight"]
    expected = run(adam(decoupled=False), start, [g["weight"] for g in gradients], [rate(step) for step in range(9)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    assert optimizer.learning_rate == 1 / 10


def test_explicit_decay_is_for_vectors_too():
    """Catches the rule for matrices applied to what a user has asked for: PyTorch's Adam(weight_decay=...)."""
    optimizer = Adam(Toy(), LR, betas=(0.8, 0.95), groups=[("*", {"weight_decay": 0.3})])
    starts = {name: parameter.data.copy() for name, parameter in optimizer.named.items()}
    gradients = random_gradients(9)
    for name, array in trained(optimizer, 9).items():
        expected = run(adam(decoupled=False), starts[name], [g[name] for g in gradients], [LR] * 9, 0.3)
        np.testing.assert_allclose(array, expected, rtol=0, atol=1e-13)


def test_only_numbers_freeze():
    """Catches a schedule that starts at 0 taken for frozen."""
    assert Settings(lr=0).frozen and Settings(lr_factor=0.0).frozen
    assert not Settings().frozen and not Settings(lr=lambda step: 0.0).frozen


def test_state_does_not_depend_on_groups(make):
    """Catches moments of frozen parameters that a checkpoint lacks: a run may go on with other groups."""
    frozen, free = make(Toy(), groups=[("weight", {"lr_factor": 0})]), make(Toy())
    trained(frozen, 3)
    free.load_state_dict(frozen.state_dict())
    assert free.t == 3
