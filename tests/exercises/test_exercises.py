"""Exercises: every sheet can be run and begun, the solutions are graded right, and planted mistakes are named."""

import numpy as np
import pytest

from tinytx.derivations import TABLE, read
from tinytx.exercises import function, grade, hints, operations, sheet
from tinytx.exercises.variants import mistakes, written
from tinytx.exercises.wider import CALLS
from tinytx.ops import plain


@pytest.mark.parametrize("name", sorted(name for name in dir(plain) if hasattr(plain, f"{name}_backward")))
def test_a_sheet_is_a_program_whose_backward_is_missing(name):
    """Of every operation with a twin."""
    namespace = {}
    exec(compile(sheet(name, f"{name}_exercise.py", 3), name, "exec"), namespace)
    assert callable(namespace[name])
    names = namespace[f"{name}_backward"].__code__
    assert names.co_names == ("NotImplementedError",), "nothing of the solution is left"
    assert f"{name}_backward is yours to write" in names.co_consts


@pytest.mark.parametrize("name", operations())
def test_a_sheet_computes_what_the_operation_does_and_solutions_are_right(name):
    """The forward of the sheet with the twin's backward gets full marks."""
    namespace = {}
    exec(compile(sheet(name, "x.py", 3), name, "exec"), namespace)
    result = grade(name, namespace[function(name)], getattr(plain, f"{function(name)}_backward"))
    assert result, str(result)
    assert str(result).endswith(f"{function(name)}_backward is right")


def test_every_derivation_with_a_backward_has_an_exercise():
    """But for the way along a sequence that rnn, lstm and others share: theirs are the exercises."""
    assert {name for name, row in TABLE.items() if not row.no_gradient} - set(operations()) == {"recurrent"}


@pytest.mark.parametrize("name", operations())
def test_hints_are_the_whole_derivation(name):
    """In its order, nothing twice and nothing left out, and each but the last ends in an equation."""
    parts = hints(name)
    lines = [line for line in read(name, whole=TABLE[name].whole).lines if line.kind in ("equation", "prose")]
    titles = {line.text for line in read(name, whole=TABLE[name].whole).lines if line.kind == "title"}
    shown = [text for part in parts for text in part.splitlines() if text.strip() and text not in titles]
    assert shown[:-1] == [line.text for line in lines]
    assert len(parts) > 1 and all(part.splitlines()[-1].startswith("    ") for part in parts[:-1])


def layer_norm_backward(dy, saved, *, inside=True, mean=True, summed=True):
    x, weight, mu, r = saved
    n = (x - mu) * r
    dn = dy * weight if inside else dy
    dx = r * (dn - mean * dn.mean(-1, keepdims=True) - n * (dn * n).mean(-1, keepdims=True))
    return dx, (dy * n).sum(axis=0) if summed else (dy * n).mean(axis=0), dy.sum(axis=0)


@pytest.mark.parametrize(
    ("mistake", "argument", "words"),
    [
        ({"inside": False}, "x", "(5) without the factor w_i, in dn_i = dy_i w_i"),
        ({"mean": False}, "x", "(7) without the term 1/D sum_i dn_i, in dx_j = r (dn_j - (1/D) sum_i dn_i - n_j (1/D) sum_i dn_i n_i)"),
        ({"summed": False}, "weight", "(4) with a mean for a sum, in dw_i = sum_rows dy_i n_i"),
    ],
)
def test_a_mistake_is_named(mistake, argument, words):
    result = grade("layer_norm", plain.layer_norm, lambda dy, saved: layer_norm_backward(dy, saved, **mistake))
    assert not result and str(result).endswith("layer_norm_backward is not right yet")
    assert f"gradient of {argument}: the same comes of {words}" in result.notes
    assert not [report for _, report in result.reports][0][argument].verdict == "PASS"


def test_a_sign_is_named():
    result = grade("softmax", plain.softmax, lambda dy, y: y * (dy + (dy * y).sum(axis=-1, keepdims=True)))
    assert any("(3) with the other sign of sum_i dy_i y_i y_j" in note for note in result.notes)


def test_a_gradient_that_is_wrong_by_a_hundredth_has_a_note():
    result = grade("softmax", plain.softmax, lambda dy, y: 1.01 * plain.softmax_backward(dy, y))
    assert not result and result.notes


def test_all_scenes_are_graded():
    """Only where attention returns its log-sum-exp, too, has that a gradient."""

    def backward(dy, saved):
        return plain.attention_backward((dy[0], 0 * dy[1]) if isinstance(dy, tuple) else dy, saved)

    verdicts = {title: bool(report) for title, report in grade("attention", plain.attention, backward).reports}
    assert verdicts == {"causal": True, "with log_sum_exp": False, "with dropout": True, "heads in groups": True}


def without_groups(dy, saved):
    return plain.attention_backward(dy, (*saved[:7], saved[0].shape[1], saved[8]))


def with_all_queries_alike(dy, saved):
    q, k, v, bias, *rest = saved
    gradients = plain.attention_backward(dy, saved)
    return gradients if bias is None or bias.shape[2] > 1 else (*gradients[:3], gradients[3] * q.shape[2])


def of_counted_rows(dloss, saved):
    p, q, share, shape = saved
    return (dloss * (p - q) * share[0]).reshape(shape)


def of_one_axis(dy, saved):
    dx, dweight, dbias = plain.linear_backward(dy, saved)
    return dx, dweight, dy.sum(axis=0)


@pytest.mark.parametrize(
    ("name", "backward", "words"),
    [
        ("attention", without_groups, "heads in groups: the gradient of k has shape (2, 24, 5, 7), expected (2, 8, 5, 7)"),
        ("attention", with_all_queries_alike, "a bias of each head that queries share: gradient of bias: 18 of 18 entries are wrong"),
        ("cross_entropy", of_counted_rows, "one of which does not count: gradient of logits: 5 of 30 entries are wrong; the first at (0, 1, 0)"),
        ("linear", of_one_axis, "rows along two axes: the gradient of bias has shape (3, 5), expected (5,)"),
    ],
)
def test_what_the_derivation_leaves_out_is_graded(name, backward, words):
    """Each is right wherever the derivation's example is, and wrong all the same."""
    result = grade(name, getattr(plain, name), backward)
    assert not result and words in str(result)
    assert all(report for _, report in result.reports[:-1]) and result.reports


def test_a_call_is_graded_by_numbers_too():
    """Catches a table of calls whose arrays are all zero, or whose gradients are not looked at: one entry is changed in each array."""
    for name, calls in CALLS.items():
        for call in calls:
            for i in range(len(call.shapes)):
                result = grade(name, getattr(plain, name), changed_at(i, getattr(plain, f"{name}_backward"), call))
                argument = list(call.shapes)[i]
                assert f"{call.title}: gradient of {argument}: 1 of " in "".join(result.notes), (name, call.title, argument)


def changed_at(i, backward, call):
    shapes = list(call.shapes.values())

    def changed(dy, saved):
        gradients = backward(dy, saved)
        as_tuple = gradients if isinstance(gradients, tuple) else (gradients,)
        if [np.shape(gradient) for gradient in as_tuple[: len(shapes)]] == [tuple(shape) for shape in shapes]:
            as_tuple = [gradient if gradient is None else np.array(gradient) for gradient in as_tuple]
            as_tuple[i].flat[-1] += 1
            return tuple(as_tuple) if isinstance(gradients, tuple) else as_tuple[0]
        return gradients

    return changed


def test_a_sheet_holds_what_its_forward_uses_and_no_more():
    """A parameter may have the name of a function."""
    text = sheet("attention", "x.py", 3)
    assert "def softmax(" in text and "def dropout(" not in text and "def scale(" not in text and "noqa" not in text


def test_a_gradient_that_is_a_pair_is_taken_apart():
    assert "    dy, dl = dy if log_sum_exp else (dy, None)\n    raise NotImplementedError" in sheet("attention", "x.py", 3)


def test_a_sheet_says_what_is_graded_besides():
    assert "It is graded in this order: as in the derivation; rows along two axes." in sheet("linear", "x.py", 3)
    assert "; with dropout; heads in groups; a bias of each head" in sheet("attention", "x.py", 3)


def test_two_mistakes_are_both_named():
    result = grade("layer_norm", plain.layer_norm, lambda dy, saved: layer_norm_backward(dy, saved, mean=False, summed=False))
    assert sum("the same comes of" in note for note in result.notes) == 2


def test_the_first_wrong_entry_is_the_first():
    def backward(dy, saved):
        dx, dweight, dbias = plain.layer_norm_backward(dy, saved)
        dx[2, 3] += 1
        dx[3, 0] += 1
        return dx, dweight, dbias

    note = grade("layer_norm", plain.layer_norm, backward).notes[0]
    assert note.startswith("gradient of x: 2 of 20 entries are wrong; the first at (2, 3): ")


@pytest.mark.parametrize(
    ("backward", "error"),
    [
        (lambda dy, y: undefined, "test_exercises.py, line "),  # noqa: F821
        (lambda dy, y: undefined, "NameError: name 'undefined' is not defined"),  # noqa: F821
        (lambda dy, y: y[0], "the gradient of x has shape (7,), expected (3, 7), the shape of x: too many axes are added up"),
        (lambda dy, y: None, "the gradient of x is None, expected an array of shape (3, 7)"),
    ],
)
def test_what_cannot_be_graded_is_said(backward, error):
    result = grade("softmax", plain.softmax, backward)
    assert not result and error in str(result)


def test_trees_are_written_as_they_stand():
    """Each side of layer norm's equations, but for spaces and outer parentheses."""
    for chain in read("layer_norm").chains:
        for side, text in zip(chain.sides, chain.texts, strict=True):
            assert "".join(c for c in written(side) if c not in " ()") == "".join(c for c in text if c not in " ()")


def test_mistakes_change_one_place():
    (chain,) = (chain for chain in read("layer_norm").chains if chain.texts[0] == "dn_i")
    assert [(words, written(tree)) for words, tree in mistakes(chain.sides[1])] == [
        ("without the factor dy_i", "w_i"), ("without the factor w_i", "dy_i"),
    ]  # fmt: skip
    (chain,) = (chain for chain in read("layer_norm").chains if chain.texts[0] == "∂mu/∂x_j")
    assert [(words, written(tree)) for words, tree in mistakes(chain.sides[1])] == [("without the division by D", "1")]
