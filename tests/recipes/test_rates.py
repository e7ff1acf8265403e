"""Learning rates of a run: worked out where they are used, never frozen; and a word where nothing would be learned."""

import pytest

from tinytx.files import load_arrays, read_json_lines, save_arrays
from tinytx.recipes.settings import RunSettings, without_effect
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS


def settings_in(folder):
    return load_checkpoint(folder)[2]["settings"]


def rates(folder):
    return [record["learning_rate"] for record in read_json_lines(folder / METRICS) if "learning_rate" in record]


@pytest.fixture
def train(request, tinytx, tmp_path, no_pictures):
    """Train a small model of a kind with some flags; return its folder and what was said."""

    def call(name, flags, folder="run"):
        own, data, flag = {
            "gpt": ("tiny", "book", "--data"),
            "transformer": ("tiny_transformer", "pairs_file", "--pairs"),
            "bert": ("tiny_bert", "tales", "--data"),
        }[name]
        own = request.getfixturevalue(own).replace("--decay-steps 40", "").replace("--log-every 5", "--log-every 1")
        path = request.getfixturevalue(data)
        return tmp_path / folder, tinytx("train", name, flag, path, own, flags, "--out", tmp_path / folder)

    return call


@pytest.mark.parametrize("name", ["gpt", "transformer", "bert"])
def test_a_cosine_that_nobody_fixed_stretches(tinytx, train, name):
    """Catches its end kept as if it had been chosen: every further step would have learning rate 0."""
    folder, _ = train(name, "--steps 6 --min-lr 0")
    assert settings_in(folder)["decay_steps"] is None
    result = tinytx("train", name, "--resume", folder, "--steps 12")
    assert result.code == 0
    straight, _ = train(name, "--steps 12 --min-lr 0", "straight")
    assert rates(folder)[6:] == rates(straight)[6:] and min(rates(folder)) > 0
    assert f"Learning rate: {rates(folder)[6]:.3g} in step 7, {rates(folder)[11]:.3g} in step 12" in result.out


def test_other_defaults_that_follow_from_settings_stay_open(train, tinytx):
    """Catches the paper's learning rate, and which tables are one, kept as numbers and names in the checkpoint."""
    folder, _ = train("transformer", "--lr 0 --warmup 4 --steps 4")
    kept = settings_in(folder)
    assert (kept["lr"], kept["tied"]) == (0.0, None)
    assert load_checkpoint(folder)[0].config.tied == "two-way"
    assert tinytx("train transformer --resume", folder, "--warmup 16 --steps 16 --min-lr 0.001").code == 0
    assert rates(folder)[-1] == pytest.approx((16 / 17) * (16 * 16) ** -0.5)


def frozen(folder, **settings):
    """Write into a checkpoint what earlier versions did: values worked out, as if they had been given."""
    arrays, meta = load_arrays(folder / NAME)
    save_arrays(folder / NAME, arrays, meta | {"settings": meta["settings"] | settings})


@pytest.mark.parametrize("name", ["gpt", "transformer", "bert"])
def test_a_checkpoint_with_a_frozen_end_says_which_flag_helps(tinytx, train, name):
    """Catches silence where nothing can be learned any more, and advice that does not help."""
    folder, _ = train(name, "--steps 6 --min-lr 0")
    frozen(folder, decay_steps=6)
    before = (folder / NAME).read_bytes()
    result = tinytx("train", name, "--resume", folder, "--steps 12")
    assert (result.code, result.out) == (2, "")
    assert "--decay-steps is 6" in result.err and "steps from 7 to 12 would have learning rate 0" in result.err
    assert (folder / NAME).read_bytes() == before
    assert tinytx("train", name, "--resume", folder, "--steps 12 --decay-steps 12").code == 0
    assert min(rates(folder)) > 0


def test_a_checkpoint_with_a_frozen_end_goes_on_at_its_floor(tinytx, train):
    """Catches a run refused although it learns, and a rate that is not said."""
    folder, _ = train("gpt", "--steps 6 --min-lr 0.001")
    frozen(folder, decay_steps=6)
    result = tinytx("train --resume", folder, "--steps 8")
    assert result.code == 0
    assert "Learning rate: 0.001 in step 7, 0.001 in step 8" in result.out


def test_a_learning_rate_of_0_is_refused(train):
    """Catches a run that changes no weight and says nothing."""
    _, result = train("gpt", "--lr 0 --min-lr 0 --steps 5")
    assert result.code == 2 and "--lr is 0: all steps from 1 to 5 would have learning rate 0" in result.err
    assert train("bert", "--lr 0 --schedule constant --steps 5")[1].code == 2


@pytest.mark.parametrize(
    "flags, steps",
    [
        ("--steps 6", [1, 4, 6]),
        ("--warmup 9 --steps 4", [1, 4]),
        ("--decay-steps 9 --steps 6", [1, 4, 6]),
        ("--decay-steps 4 --steps 6", [1, 4, 5, 6]),
        ("--decay-steps 2 --steps 6", [1, 3, 4, 6]),
        ("--schedule constant --steps 6", [1, 4, 6]),
    ],
)
def test_the_rates_that_are_said_are_those_of_the_steps(train, flags, steps):
    """Catches a schedule that ends too early or too late without a word: its turns are printed with their rates."""
    folder, result = train("gpt", flags)
    expected = ", ".join(f"{rates(folder)[step - 1]:.3g} in step {step}" for step in steps)
    assert f"Learning rate: {expected}\n" in result.out


@pytest.mark.parametrize(
    "flags, note",
    [
        ("--eval-every 7 --log-every 2 --steps 6", "--eval-every is 7, and --steps only 6"),
        ("--eval-every 3 --log-every 7 --steps 6", "--log-every is 7, and --steps only 6"),
    ],
)
def test_settings_that_lose_their_effect_beside_others(train, flags, note):
    """Catches silence about values that are each fine and together do nothing; one line for each, not more."""
    _, result = train("gpt", f"--eval-every 4 {flags}")
    notes = [line for line in result.err.splitlines() if line.startswith("Note: ")]
    assert result.code == 0 and len(notes) == 1 and note in notes[0]


def test_nothing_is_noted_about_settings_that_work(train):
    """Catches notes that cry wolf."""
    assert "Note" not in train("gpt", "--steps 7")[1].err
    assert not without_effect(RunSettings(steps=3))  # fewer than the default of --eval-every
