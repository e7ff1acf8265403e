"""``python -m tinytx exercise``: the list, a sheet, hints, grades, and what is refused."""

import pytest


@pytest.fixture
def at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_list_begins_as_the_derivations_do(tinytx):
    lines = tinytx("exercise").out.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["linear", "softmax", "layer_norm", "attention", "cross_entropy"]


def test_write_check_solve(tinytx, at):
    """As a reader does it: the printed commands, a backward that is missing, one that is wrong, one that is right."""
    written = tinytx("exercise softmax")
    assert written.code == 0 and "Wrote softmax_exercise.py" in written.out
    command = written.out.rpartition("then python -m tinytx ")[2].strip()
    missing = tinytx(command)
    assert missing.code == 1 and "softmax_backward is yours to write" in missing.out
    sheet = (at / "softmax_exercise.py").read_text()
    place = '    raise NotImplementedError("softmax_backward is yours to write")'
    (at / "softmax_exercise.py").write_text(sheet.replace(place, "    return saved * dy"))
    wrong = tinytx(command)
    assert wrong.code == 1 and "the same comes of (3) without the term" in wrong.out and "exercise softmax --hint 4" in wrong.out
    (at / "softmax_exercise.py").write_text(sheet.replace(place, "    return saved * (dy - (dy * saved).sum(-1, keepdims=True))"))
    right = tinytx(command)
    assert right.code == 0 and "softmax_backward is right\nNext: python -m tinytx exercise layer_norm" in right.out


def test_hints_unfold(tinytx):
    first, second = tinytx("exercise softmax --hint 1").out, tinytx("exercise softmax --hint 2").out
    assert second.startswith(first.rpartition("\n\nNext: ")[0]) and "--hint 3 (of " in second


def test_work_is_not_overwritten(tinytx, at):
    (at / "linear_exercise.py").write_text("mine")
    result = tinytx("exercise linear")
    assert result.code == 2 and "linear_exercise.py is there already, and may hold your work" in result.err
    assert (at / "linear_exercise.py").read_text() == "mine"


def test_what_is_refused(refused, tmp_path_factory):
    assert "there is no exercise layernorm; did you mean layer_norm?" in refused("exercise layernorm")
    assert "--hint is 99, expected 1 to" in refused("exercise linear --hint 99")
    assert "there is no file other.py" in refused("exercise linear --check other.py")
    empty = tmp_path_factory.mktemp("work") / "empty.py"
    empty.write_text("")
    assert "empty.py has no function linear" in refused(f"exercise linear --check {empty}")
