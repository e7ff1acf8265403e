"""The derivations of tinytx/ops are true: each equation is executed, and the last ones give what the code gives."""

import re
from importlib import import_module

import numpy as np
import pytest
from planted import mistakes

from tinytx.derivations import TABLE, NotationError, check, read
from tinytx.derivations.check import Trail
from tinytx.derivations.reader import FOLDER, source_of
from tinytx.derivations.scene import functions
from tinytx.derivations.show import derivation, examples, operations

# Equations, by their beginnings, in which another sign or factor gives an equation that is true as well.
TRUE_AS_WELL = {
    "addressing": ["p_j (dp_j + sum_i"],  # w does not change if all p_j grow by one factor, so sum_i p_i dp_i = 0
    "affinities": ["D_ji", "p_ji =", "sum_j p_ji", "H_j ="],  # D and p are symmetric; an equation may call i by another letter
    "quantized_linear": ["s_j * 2", "t * 2", "|d_j| <="],  # what is at most s_j / 2 is at most 2 s_j
    "tsne": ["D_ji", "p_ji", "q_ji", "w_ji", "w_jk", "w_lk"],  # D, p, q and w are symmetric
    "few_rows": ["{i : 1 = p}", "{i : h_i = p}"],  # rows may be cut into any parts
    "layer_norm": [
        "∂v/∂x_j = ",  # sum_i ([i = j] - 1/D) = 0 and sum_i (x_i - mu) = 0: constants may be added to either factor
        "∂mu/∂x_k = ",  # the same for another letter
    ],
}


def page(name, source=None):
    return read(name, source, TABLE[name].whole)


def test_all_pages_are_executed():
    assert {path.stem for path in FOLDER.glob("*.py") if "\nDerivation\n---" in path.read_text("utf-8")} == set(operations())


@pytest.mark.parametrize("name", TABLE)
def test_derivation_holds(name):
    """Catches a wrong equation, a wrong derivative, a wrong gradient, and an end that is not what the code computes."""
    row = TABLE[name]
    results = check(name)
    executed = {line for result in results for line in result.shown}
    for line in page(name).lines:
        assert not line.chains or line.line in executed, f"line {line.line}: executed in no scene"
        assert line.number is None or line.number in row.twins or any(
            line.line in result.shown for result in results
        ), f"({line.number}): nothing is executed in its line"
    if row.no_gradient:
        assert all(functions(name, scene.function)[1] is None for scene in row.scenes)
        assert all(result.equalities and result.compared for result in results)
    else:
        assert all(result.equalities and result.gradients and result.compared > 1 for result in results)
    for scene in row.scenes:
        assert all(len(axis) == 1 or len(axis) > 2 for axis in scene.sizes)
        lengths = [scene.sizes[axis] for axis in scene.sizes]
        assert len(set(lengths)) == len(lengths) and min(lengths) > 1, "lengths differ, so that no two axes are taken for another"


@pytest.mark.parametrize("name", TABLE)
def test_numbers_stand_on_lines_of_code(name):
    """Both directions: each number of the derivation is cited by the code, and each number that the code cites exists."""
    derived = page(name)
    assert set(derived.numbers) == set(derived.cited)
    assert len(set(derived.numbers)) == len(derived.numbers)


@pytest.mark.parametrize("name", TABLE)
def test_planted_mistakes_fail(name):
    """Each sign, index, number and factor of each equation is changed, one at a time."""
    source = source_of(name)
    count, survivors, trails = 0, [], [Trail() for _ in TABLE[name].scenes]
    check(name, trails=trails)
    for what, where, changed in mistakes(source, name):
        count += 1
        if message(name, changed, trails=trails) is None and not any(text in where for text in TRUE_AS_WELL.get(name, ())):
            survivors.append(f"{what}, {where}")
    assert count > 5 and not survivors


@pytest.mark.parametrize(("name", "each"), [("memory", 5), ("batch_norm", 9), ("recurrent", 17)])
def test_a_trail_changes_no_message(name, each):
    """Catches a changed page that is not executed from its change on, and gradients of other definitions."""
    source, trails = source_of(name), [Trail() for _ in TABLE[name].scenes]
    check(name, trails=trails)
    for _, where, changed in list(mistakes(source, name))[::each]:
        messages = [message(name, changed, trails=trails), message(name, changed)]
        assert messages[0] == messages[1], where
    assert [result.shown.keys() for result in check(name, trails=trails)] == [result.shown.keys() for result in check(name)]


def message(name, source, **settings):
    """Return the error that a changed page ends in, or None."""
    try:
        check(name, page=page(name, source), **settings)
    except NotationError as error:
        return str(error)


def test_an_unexecuted_claim_in_prose_fails():
    """Catches a reader that skips derivatives in running text."""
    source = source_of("layer_norm").replace("In (3) ∂y_i/∂w_i = n_i,", "In (3) ∂y_i/∂w_i = w_i,")
    with pytest.raises(NotationError, match=r"line 11, column 70.*does not hold at .*\n.*\n *\^$"):
        check("layer_norm", page=page("layer_norm", source))


def test_a_wrong_code_fails(monkeypatch):
    """Catches a comparison with nothing."""
    module = import_module("tinytx.ops.layer_norm")
    forward, backward = module.layer_norm, module.layer_norm_backward
    monkeypatch.setattr(module, "layer_norm_backward", lambda dy, saved: tuple(2 * g for g in backward(dy, saved)))
    with pytest.raises(NotationError, match="layer_norm: dx at .* by the equations, and .* by the code"):
        check("layer_norm")
    monkeypatch.setattr(module, "layer_norm", lambda *a, **k: (0 * forward(*a, **k)[0], forward(*a, **k)[1]))
    with pytest.raises(NotationError, match="layer_norm: y at .* by the code"):
        check("layer_norm")


PAGE = '''r"""A page.

Derivation
----------
{}

The same in plain NumPy.
"""
'''


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("    y_i = x_i w_i +", "line 5, column 19: the text ends"),
        ("    y_i = (x_i w_i", "line 5"),
        ("    y_i = x_i / w_i b_i", r"line 5, column 21: a / b c can be read in two ways"),
        ("    y_i = x_i ? w_i", "line 5, column 15"),
        ("    y_i", "begins neither an equation nor a remark"),
        ("    y_i = x_i   w_i", "column 17: 'w_i' begins neither"),
        ("Text: ∂y_i/∂w_i = x_i ? w_i", "expected a comma or a full stop"),
    ],
)
def test_what_cannot_be_read_is_shown(line, message):
    """Catches a line that is skipped because it cannot be read."""
    with pytest.raises(NotationError, match=message):
        read("page", PAGE.format(line))


def test_citations():
    """In comments, in docstrings of functions and classes, but not in the derivation itself; those of other files do not count."""
    source = PAGE.format("    y = x   (1)") + 'def f():\n    """See (2) and (3) of ``other.py``."""\n    return 0  # (1), (4)\n'
    assert read("page", source).cited == {
        2: [(10, '"""See (2) and (3) of ``other.py``."""')], 1: [(11, "return 0  # (1), (4)")], 4: [(11, "return 0  # (1), (4)")],
    }  # fmt: skip


def test_remarks_and_words():
    derived = read("page", PAGE.format("    a = b,   shares, (T, S)        (1)\n    c = d\n      + e,   because f = g.   (2)"))
    assert [(chain.text, chain.number) for chain in derived.chains] == [("a = b", 1), ("c = d + e", 2), ("f = g", 2)]


def test_lines_that_end_in_commas_belong_to_the_number_below():
    derived = read("page", PAGE.format("    z = y\n    a = b,   f = g,\n    c = d,\n    e = a.   (1)\n    h = a,\n    k = a"))
    assert [(chain.texts[0], chain.number) for chain in derived.chains] == [
        ("z", None), ("a", 1), ("f", 1), ("c", 1), ("e", 1), ("h", None), ("k", None),
    ]  # fmt: skip


@pytest.mark.parametrize("name", operations())
def test_every_page_is_shown(name):
    """Text, numbers, and lines of code."""
    text = derivation(name)
    assert "Derivation\n---" in text and f"{name}.py:" in text
    assert "\n      | " in text


@pytest.mark.parametrize("name", [name for name in operations() if len(TABLE[name].scenes) > 1])
def test_the_example_of_a_second_way_has_the_same_numbers(name):
    """Catches an example whose readers cannot compute a line because its inputs are others than those shown, and not shown."""
    row = TABLE[name]
    page = read(name, whole=row.whole)
    first, *others = examples(page, row)
    text = derivation(name)
    for scene, result in zip(row.scenes[1:], others, strict=True):
        if f"| {scene.title}: " not in text:
            continue  # each of its lines holds in the first scene
        for key, value in result.inputs.items():
            if key not in first.inputs or not np.array_equal(value, first.inputs[key], equal_nan=True):
                assert f"| {scene.title}: {key}" in text


def test_the_example_of_attention_shows_what_its_numbers_come_from():
    """The mask of dropout, of which one entry is 0, and the gradient of the log-sum-exp; P' and dA are computed here from the text."""
    text = derivation("attention")
    assert "with dropout: M (t, s) = [[1 1 0]\n      |                           [0 1 0]]\n      | with dropout: p = 0.3\n" in text
    assert text.index("dropout: M (") < text.index("dropout: P'_ts") and text.index("exp: dL (") < text.index("exp: dA_ts")
    p, d_lse = np.array([[0.4278, 0.5722, 0.0], [0.3388, 0.2487, 0.4125]]), np.array([-0.7, -0.9])
    for row in p:
        assert " ".join(f"{weight:.4f}" for weight in row) in text
    assert f"P'_ts (t, s) = [[{p[0, 0] / 0.7:.4f} 0.8175 0.0000]\n" in text and f"[0.0000 {p[1, 1] / 0.7:.4f} 0.0000]]" in text
    da = np.array([[-0.2717, 0.2717, 0.0], [0.2158, -0.2270, 0.0112]])  # without log_sum_exp
    shown = re.findall(r"-?\d\.\d{4}", text[text.index("exp: dA_ts") :])[:6]
    assert np.allclose(np.array(shown, float).reshape(2, 3), da + p * d_lse[:, None], rtol=0, atol=2e-4)


def test_numbers_shown_are_those_of_the_example():
    """Layer norm's mean and dx of the numbers shown, computed here from the text."""
    lines = derivation("layer_norm").split("\n")

    def array(label):
        start = next(i for i, line in enumerate(lines) if line.lstrip(" |").startswith(label))
        stop = start + 1
        while lines[stop].lstrip(" |").startswith("["):
            stop += 1
        text = " ".join(line.lstrip(" |") for line in lines[start:stop]).split(" = ")[1]
        return np.array([[float(n) for n in row.split()] for row in text.replace("[", "").split("]") if row.strip()])

    x, w, dy = array("x ("), array("w ("), array("dy (")
    mu, r = x.mean(1, keepdims=True), 1 / np.sqrt(x.var(1, keepdims=True) + 0.1)
    n, dn = (x - mu) * r, dy * w
    dx = r * (dn - dn.mean(1, keepdims=True) - n * (dn * n).mean(1, keepdims=True))
    np.testing.assert_allclose(array("mu (")[0], mu[:, 0], atol=6e-5)
    np.testing.assert_allclose(array("dx_j ("), dx, atol=6e-5)
