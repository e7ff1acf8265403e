"""``python -m tinytx train xlnet``: orders of rows, gaps with what is known on one side or on both, rows that are filled."""

import numpy as np
import pytest
from run_files import records

from tinytx.pipelines import Filler, load_run
from tinytx.recipes import load_recipe
from tinytx.recipes.xlnet import gap_order, orders
from tinytx.training import load_checkpoint

MEASURES = {"step", "val_loss", "both_loss", "left_loss", "right_loss", "trigram_loss"}


@pytest.fixture(scope="module")
def run(trained):
    return trained("xlnet")


def test_a_run_says_what_each_side_is_worth(run):
    """Catches a gap of another size, or of another side."""
    folder, (code, out, err) = run
    assert code == 0, err
    last = records(folder)[-1]
    assert set(last) == MEASURES
    assert "Nats per character of a gap of 4 characters:\n" in out
    for side, words in {"both": "on both sides", "left": "before it", "right": "after it"}.items():
        assert f"what is {words} known".ljust(27) + f"{last[side + '_loss']:7.3f}" in out
    model, *_ = load_checkpoint(folder)
    assert len({last[f"{side}_loss"] for side in ("both", "left", "right")}) == 3 and model.settings == {"one_in": 2}


@pytest.mark.parametrize(
    ("side", "order"), [("both", [0, 1, 5, 6, 2, 3, 4]), ("left", [0, 1, 2, 3, 4, 5, 6]), ("right", [3, 4, 5, 6, 2, 1, 0])]
)
def test_gaps_are_filled_from_what_is_known(side, order):
    assert gap_order(side, 7, 3).tolist() == order


def test_orders_are_those_of_the_step(book):
    """Catches one order for all rows or all steps, and orders of training that validate."""
    settings = load_recipe("xlnet").settings(data=str(book), segment=8, batch_size=3, one_in=2)
    prepared = load_recipe("xlnet").prepare(settings, None)
    (rows, order), (_, other) = prepared.batch(3), prepared.batch(4)
    assert rows.shape == order.shape == (3, 8) and (np.sort(order, axis=1) == np.arange(8)).all()
    assert (order[0] != order[1]).any() and (order != other).any()
    np.testing.assert_array_equal(prepared.batch(3)[1], order)
    ids = np.concatenate([ids for ids, _ in prepared.validation])
    held_out = prepared.kept.validation
    assert sorted(map(tuple, ids)) == sorted(map(tuple, held_out[: len(held_out) // 8 * 8].reshape(-1, 8)))
    assert (orders("left", (2, 4)) == np.arange(4)).all()
    assert prepared.kept.tokenizer.mask_id == 0 and not (ids == 0).any()


def test_gaps_of_a_text_are_filled(run, tinytx):
    """Spaces before a gap stay; each guess takes those before it for given."""
    code, out, err = tinytx("fill", run[0], ["3 <mask><mask>me"], "--top 2")
    assert (code, err) == (0, "")
    filler = load_run(run[0], Filler)
    ids = filler.tokenizer.encode("3 times")[:6]
    p = filler.model.fill(ids[None], [2, 3])[0]
    best = [filler.tokenizer.names[i] for i in p.argmax(axis=1)]
    assert out.splitlines()[-1] == f"-> 3 {best[0]}{best[1]}me"
    assert "hidden word 2:" in out and filler.fill("3 <mask>").text.startswith("3 ")
    assert tinytx("fill", run[0], ["123456<mask>89"]).code == 2  # 9 characters, rows have 8


def test_rows_from_left_to_right(tinytx, flags_of, tmp_path, no_pictures):
    flags = [word if word != "2" or before != "--one-in" else "1" for before, word in zip(["", *flags_of("xlnet")], flags_of("xlnet"))]
    code, out, err = tinytx(flags, "--order left --steps 2 --out", tmp_path / "run")
    assert code == 0, err
    last = records(tmp_path / "run")[-1]
    assert last["val_loss"] == pytest.approx(last["left_loss"], rel=1e-6) and "of a gap" not in out


def test_a_text_without_a_row_is_named(tinytx, flags_of, tmp_path):
    result = tinytx(flags_of("xlnet"), "--segment 300 --out", tmp_path / "run")
    assert result.code == 2 and "the text to validate has 203 characters, a row 300: take" in result.err
